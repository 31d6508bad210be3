-- The store does not hold the features that it should: the angiogram is prepared again.
DELETE FROM angiogram_features WHERE object_id = :object_id AND backbone = :backbone
