-- Name who changes the pseudonyms, flags among them, and why.
SELECT audit.act_for(CAST(:person AS text), CAST(:reason AS text))
