-- Use the approval of a promotion; it holds once.
SELECT use_approval(:version, :person, :reason)
