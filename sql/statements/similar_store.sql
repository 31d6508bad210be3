-- A training study's place in a model's shared space, unless the study has left the reports since.
INSERT INTO study_embeddings (model_version, study_id, embedding)
SELECT :model_version, study_id, :embedding FROM cath_studies WHERE study_id = :study_id
