-- Keep which number each pseudonym of the headers stands for.
SELECT identity.remember(array_agg(patient_id), array_agg(number)) FROM staged_angiogram_heads
