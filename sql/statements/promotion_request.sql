-- Request the promotion of a model.
SELECT request_promotion(:version, :person, :reason)
