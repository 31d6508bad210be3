-- Remove closed quarantine rows that are past their retention; their number. Dismissed rows stay: they keep files away.
SELECT forget_closed_quarantine(CAST(:before AS timestamptz), CAST(:limit AS bigint))
