-- Pseudonym of a patient number, and of the number that replaces it; the audit records the search.
SELECT patient_id, present_id FROM identity.find(:number, :why)
