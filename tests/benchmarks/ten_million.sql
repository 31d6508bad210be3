-- An archive as it looks after years: :ecgs scored ECGs, 2,880 a day up to the day before :until, of patients with
-- five ECGs each; 1 in 100 in quarantine, flags on 1 in 10, one model and its predecessor. The same every time.
-- Indexes and constraints are taken away meanwhile and made anew.
SELECT setseed(0.5);
SET LOCAL session_replication_role = replica;
SET LOCAL synchronous_commit = off;
SET LOCAL maintenance_work_mem = '1GB';

CREATE TEMP TABLE made_later AS
SELECT CASE WHEN c.oid IS NULL THEN 'DROP INDEX ' || i.indexrelid::regclass
            ELSE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', i.indrelid::regclass, c.conname) END AS take_away,
       CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
            ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
       END AS make_anew,
       1 AS turn
FROM pg_index AS i
LEFT JOIN pg_constraint AS c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
WHERE i.indrelid IN ('objects'::regclass, 'ecgs'::regclass, 'scores'::regclass, 'worklist'::regclass,
                     'ecg_measurements'::regclass, 'ecg_embeddings'::regclass)
UNION ALL
SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', conrelid::regclass, conname, pg_get_constraintdef(oid)), 2
FROM pg_constraint
WHERE contype = 'f' AND confrelid IN ('objects'::regclass, 'ecgs'::regclass);
DO $$
DECLARE step text;
BEGIN
    FOR step IN SELECT take_away FROM made_later ORDER BY turn DESC LOOP EXECUTE step; END LOOP;
END $$;

INSERT INTO models (version, state, folder, sha256, preprocessing_version, manifest, created_at) VALUES
    ('old', 'retired', 'models/old/', repeat('1', 64), 'p1', '{"thresholds": {"stenosis_70": {"value": 0.648, "rule": "r"}}}',
     timestamptz :until - interval '400 days'),
    ('champion', 'champion', 'models/champion/', repeat('2', 64), 'p1',
     jsonb_build_object('decisive', 'stenosis_70', 'thresholds', (
         SELECT jsonb_object_agg(target, jsonb_build_object('value', 0.648, 'rule', 'at most 50 alerts per 1,000 ECGs'))
         FROM unnest(ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70']) AS target)),
     timestamptz :until - interval '300 days');
INSERT INTO model_events (version, from_state, to_state, changed_by, reason, changed_at) VALUES
    ('champion', NULL, 'champion', 'benchmark', 'the only one', timestamptz :until - interval '300 days');
INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device, host, started_at, finished_at,
                  indexed, scored, quarantined, pending, scored_by_run, quarantined_by_run)
VALUES ('00000000-0000-0000-0000-000000000001', 'champion', 'p1', 'finished', '0', 'cpu', 'here',
        timestamptz :until - interval '2 hours', timestamptz :until - interval '1 hour', 1, 1, 0, 0, 1, 0);

INSERT INTO objects (key, record_key, listed_etag, etag, size_bytes, content_hash, patient_id, first_seen_at, changed_at)
SELECT format('ecg/%s/%s.hea', to_char(taken, 'YYYY/MM/DD'), n), format('ecg/%s/%s', to_char(taken, 'YYYY/MM/DD'), n),
       md5(n::text), md5(n::text), 120000, sha256(n::text::bytea), 'p' || n % (:ecgs / 5), taken + interval '1 hour',
       taken + interval '1 hour'
FROM generate_series(1, :ecgs) AS n
CROSS JOIN LATERAL (SELECT timestamptz :until - (:ecgs + 1 - n) * interval '30 seconds' AS taken) AS t;

INSERT INTO ecgs (content_hash, patient_id, acquired_at, device, site, sex, age, sampling_rate, seconds, object_id,
                  first_read_at)
SELECT content_hash, patient_id, first_seen_at - interval '1 hour', 'device ' || id % 20, 'site ' || id % 5,
       (ARRAY['F', 'M'])[1 + id % 2], 40 + id % 50, 500, 10, id, first_seen_at
FROM objects;

INSERT INTO scores (content_hash, model_version, preprocessing_version, stenosis_50, stenosis_70, stenosis_90,
                    stenosis_100, rca_70, lca_70, run_id, scored_at, lower, upper, novelty, unlike)
SELECT content_hash, 'champion', 'p1', p, p * 0.8, p * 0.5, p * 0.2, p * 0.4, p * 0.6,
       '00000000-0000-0000-0000-000000000001', first_read_at + interval '5 minutes',
       ARRAY[p, p * 0.8, p * 0.5, p * 0.2, p * 0.4, p * 0.6], ARRAY[p, p * 0.8, p * 0.5, p * 0.2, p * 0.4, p * 0.6], 50, false
FROM (SELECT content_hash, first_read_at, round(random()::numeric ^ 2, 6)::double precision AS p
      FROM ecgs WHERE object_id % 100 <> 1) AS drawn;

INSERT INTO ecg_measurements (content_hash, heart_rate, r_mv, s_mv, noise_uv)
SELECT content_hash, 60 + object_id % 40, array_fill(0.5 + object_id % 7 / 10.0, ARRAY[12]),
       array_fill(0.4 + object_id % 5 / 10.0, ARRAY[12]), array_fill(10.0 + object_id % 9, ARRAY[12])
FROM ecgs;
INSERT INTO ecg_embeddings (content_hash, model_version, sketch)
SELECT content_hash, 'champion', array_fill((object_id % 11)::real, ARRAY[32]) FROM ecgs;

INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state, raised_at)
SELECT scores.content_hash, model_version, 'stenosis_70', patient_id, stenosis_70, 0.648, 'chosen for the benchmark',
       (ARRAY['open', 'open', 'open', 'open', 'open', 'open', 'confirmed', 'dismissed', 'dismissed',
              'withdrawn'])[1 + floor(random() * 10)::int],
       scored_at
FROM scores JOIN ecgs USING (content_hash)
WHERE stenosis_70 >= 0.648;

INSERT INTO worklist (object_id, model_version, etag, state, attempt, run_id, changed_at)
SELECT id, 'champion', etag, CASE id % 100 WHEN 1 THEN 'quarantined' ELSE 'scored' END, 1,
       '00000000-0000-0000-0000-000000000001', first_seen_at + interval '5 minutes'
FROM objects;
INSERT INTO quarantine (object_id, etag, reason, detail, lead, value, state, run_id, entered_at)
SELECT id, etag, 'flat_lead', 'lead V1 is flat; look at the electrode', 'V1', 0, 'open',
       '00000000-0000-0000-0000-000000000001', first_seen_at + interval '5 minutes'
FROM objects
WHERE id % 100 = 1;

DO $$
DECLARE step text;
BEGIN
    FOR step IN SELECT make_anew FROM made_later ORDER BY turn LOOP EXECUTE step; END LOOP;
END $$;
DROP TABLE made_later;
