-- Does a link of the audit have this hash?
SELECT EXISTS (SELECT FROM audit.links WHERE hash = decode(:hash, 'hex'))
