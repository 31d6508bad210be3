-- Withdraw the flags of a patient who has opted out; their number.
SELECT withdraw_opted_out(:patient_ids, :by, 'the patient has opted out')
