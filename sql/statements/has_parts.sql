-- Whether any record of the batch needs signal files of another name, now or as far as was known.
SELECT EXISTS (SELECT FROM staged_parts)
    OR EXISTS (SELECT FROM record_parts AS p JOIN staged_results AS s ON s.object_id = p.object_id)
