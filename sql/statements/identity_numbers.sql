-- Patient numbers behind pseudonyms; the audit records the read.
SELECT patient_id, number FROM identity.numbers_of(:patient_ids, :why)
