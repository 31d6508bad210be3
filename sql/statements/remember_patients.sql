-- Keep which number each pseudonym stands for.
SELECT identity.remember(:patient_ids, :numbers)
