-- Approve or refuse a requested promotion.
SELECT answer_promotion(:version, :approve, :person, :reason)
