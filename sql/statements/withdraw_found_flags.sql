-- A person withdraws flags by a decision.
SELECT withdraw_flags(CAST(:ids AS bigint[]), '{open,model_retired}', 'by_person', :by, :reason, :decision)
