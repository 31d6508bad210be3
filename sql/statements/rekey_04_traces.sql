-- What was derived from old pseudonyms. Pages and messages that name one belong to nobody, so that they are replaced.
TRUNCATE ecg_moments;
UPDATE cath_studies SET fingerprint = '';
UPDATE ecg_pages SET patient_id = '';
UPDATE flag_exports SET patient_id = ''
