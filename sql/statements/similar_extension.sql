-- pgvector, if the server has it: its version in this database, and whether its types are on the search path.
SELECT e.extversion, to_regtype('halfvec') IS NOT NULL AS is_found
FROM pg_available_extensions AS a LEFT JOIN pg_extension AS e ON e.extname = a.name
WHERE a.name = 'vector'
