-- The next patients of the map.
SELECT patient_id, number FROM identity.patients WHERE patient_id > :after ORDER BY patient_id LIMIT :limit
