-- Reviews of a patient's ECGs, newest first.
SELECT reviews.ecg_id, reviews.outcome, reviews.reviewed_by, reviews.reviewed_at, reviews.note
FROM reviews
JOIN ecgs ON ecgs.id = reviews.ecg_id
WHERE ecgs.patient_id = :patient_id
ORDER BY reviews.id DESC
