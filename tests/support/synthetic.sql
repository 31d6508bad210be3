-- Scored ECGs of many patients, with flags in every state, two models, a run and some in quarantine.
-- The same every time for the same number of ECGs and patients.
SELECT setseed(0.5);

INSERT INTO models (version, state, folder, sha256, preprocessing_version, manifest) VALUES
    ('synthetic-1', 'retired', 'models/synthetic-1/', repeat('1', 64), 'p1',
     '{"thresholds": {"stenosis_70": {"value": 0.3, "rule": "r"}}}'),
    ('synthetic-2', 'champion', 'models/synthetic-2/', repeat('2', 64), 'p1',
     '{"created_at": "2026-01-02T03:04:05Z", "metrics": {"stenosis_70": {"auroc": {"value": 0.79}}},
       "thresholds": {"stenosis_50": {"value": 0.6, "rule": "at most 50 alerts per 1,000 ECGs"},
                      "stenosis_70": {"value": 0.648, "rule": "at most 50 alerts per 1,000 ECGs"}}}');
INSERT INTO model_events (version, from_state, to_state, changed_by, reason, changed_at) VALUES
    ('synthetic-1', NULL, 'candidate', 'trainer', 'trained', '2026-01-01Z'),
    ('synthetic-1', 'candidate', 'champion', 'someone', 'the first', '2026-01-02Z'),
    ('synthetic-2', NULL, 'candidate', 'trainer', 'trained', '2026-01-03Z'),
    ('synthetic-1', 'champion', 'retired', 'someone', 'a better one', '2026-01-04Z'),
    ('synthetic-2', 'candidate', 'champion', 'someone', 'a better one', '2026-01-04Z');
INSERT INTO model_forms (model_version, device, form, library, hardware, figures, chosen, decided_by, reason)
SELECT min(version), 'cpu', 'fp32', 'torch 2.13.0', 'test', '{"speed": 1.0, "ecgs": 100}', true, 'Dr A', 'first'
FROM models CROSS JOIN generate_series(1, 2);

INSERT INTO promotion_refusals (version, result, checks, reason, looks, first_at, last_at) VALUES
    ('synthetic-2', 'cannot tell', '{shadow}', '12 patients were scored by both models', 3, '2026-01-03Z', '2026-01-03 02:00Z'),
    ('synthetic-2', 'failed', '{"score distribution","workload in shadow"}', 'mean risk 0.300', 1, '2026-01-03 03:00Z', '2026-01-03 03:00Z');
INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device, host, started_at,
                  finished_at, indexed, scored, quarantined, pending, scored_by_run, quarantined_by_run)
VALUES ('00000000-0000-0000-0000-000000000001', 'synthetic-2', 'p1', 'finished', '0', 'cpu', 'here',
        '2026-02-01 00:00Z', '2026-02-01 00:01:40Z', 1010, 1000, 10, 0, 990, 10);

INSERT INTO objects (key, record_key, listed_etag, etag, size_bytes)
SELECT format('ecg/p%s/%s.hea', n % :patients, n), format('ecg/p%s/%s', n % :patients, n), md5(n::text), md5(n::text), 120000
FROM generate_series(1, :ecgs) AS n;

INSERT INTO ecgs (content_hash, patient_id, acquired_at, device, sampling_rate, seconds, object_id)
SELECT sha256(record_key::bytea), 'p' || id % :patients, timestamptz '2020-01-01Z' + id * interval '3 minutes',
       'device ' || id % 20, 500, 10, id
FROM objects;

UPDATE objects SET content_hash = sha256(record_key::bytea);

INSERT INTO scores (content_hash, model_version, preprocessing_version, stenosis_50, stenosis_70, stenosis_90,
                    stenosis_100, rca_70, lca_70, run_id, scored_at)
SELECT content_hash, 'synthetic-2', 'p1', p, p * 0.8, p * 0.5, p * 0.2, p * 0.4, p * 0.6,
       '00000000-0000-0000-0000-000000000001', '2026-02-01 00:01Z'
FROM (SELECT content_hash, round(random()::numeric ^ 2, 6)::double precision AS p FROM ecgs) AS drawn;

-- The model before it had scored a few of them.
INSERT INTO scores (content_hash, model_version, preprocessing_version, stenosis_50, stenosis_70, stenosis_90,
                    stenosis_100, rca_70, lca_70, run_id, scored_at)
SELECT content_hash, 'synthetic-1', 'p1', stenosis_50, stenosis_70 / 2, 0, 0, 0, 0, run_id, '2026-01-03Z'
FROM scores
WHERE get_byte(content_hash, 0) = 0;

-- About one flag in ten ECGs; half of them open.
INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state, raised_at)
SELECT scores.content_hash, model_version, target, patient_id, probability, threshold, 'chosen for the example',
       (ARRAY['open', 'open', 'open', 'open', 'open', 'open', 'confirmed', 'dismissed', 'dismissed',
              'withdrawn'])[1 + floor(random() * 10)::int],
       acquired_at + interval '1 hour'
FROM scores
JOIN ecgs USING (content_hash)
CROSS JOIN (VALUES ('stenosis_70', 0.648)) AS t (target, threshold)
CROSS JOIN LATERAL (SELECT stenosis_70 AS probability) AS p
WHERE probability >= threshold AND model_version = 'synthetic-2' AND object_id % 100 NOT IN (1, 2);

INSERT INTO worklist (object_id, model_version, etag, state)
SELECT id, 'synthetic-2', etag, CASE id % 100 WHEN 1 THEN 'quarantined' WHEN 2 THEN 'pending' ELSE 'scored' END
FROM objects;

INSERT INTO quarantine (object_id, etag, reason, detail, lead, value, state, run_id, entered_at)
SELECT id, etag, (ARRAY['flat_lead', 'too_short'])[1 + id / 100 % 2],
       CASE id / 100 % 2 WHEN 0 THEN format('lead V1 of %s is flat; look at the electrode', key) ELSE '2.1 s' END,
       CASE id / 100 % 2 WHEN 0 THEN 'V1' END, 0,
       (ARRAY['open', 'open', 'resolved', 'dismissed', 'retried'])[1 + id / 200 % 5],
       '00000000-0000-0000-0000-000000000001', timestamptz '2026-02-01Z' + id * interval '1 second'
FROM objects
WHERE id % 100 = 1;

INSERT INTO monitoring_metrics (run_id, model_version, name, slice_key, slice_value, value, window_start, window_end)
SELECT '00000000-0000-0000-0000-000000000001', 'synthetic-2', 'stage_seconds', 'stage', stage, seconds,
       '2026-02-01 00:00Z', '2026-02-01 00:01:40Z'
FROM (VALUES ('fetch', 3.25), ('decode', 20), ('infer', 71.5)) AS measured (stage, seconds);

-- A few cath studies with angiograms, a bad row of a report, and two trainings.
INSERT INTO cath_studies (study_id, patient_id, performed_at, split, max_degree, report_key, fingerprint)
SELECT 's' || n, 'p' || n, timestamptz '2026-01-01Z' + n * interval '1 day', 'train', 80, 'reports/cath.csv', md5(n::text)
FROM generate_series(1, 10) AS n;
INSERT INTO segment_stenoses (study_id, segment, degree) SELECT study_id, 6, 80 FROM cath_studies;
INSERT INTO ecg_study_pairs (content_hash, study_id, object_id, patient_id, split, days_before, weight)
SELECT DISTINCT ON (study_id) content_hash, study_id, object_id, patient_id, 'train', 2, 1
FROM cath_studies JOIN ecgs USING (patient_id)
ORDER BY study_id, object_id;
INSERT INTO objects (key, record_key, listed_etag, etag, size_bytes, kind)
SELECT format('angio/%s.dcm', n), format('angio/%s', n), md5(n::text), md5(n::text), 5000000, 'angiogram'
FROM generate_series(1, 12) AS n;
INSERT INTO angiogram_views (object_id, etag, state, sop_instance_uid, patient_id, study_id, key_frame)
SELECT objects.id, etag, CASE WHEN n <= 8 THEN 'ready' WHEN n <= 11 THEN 'pending' ELSE 'quarantined' END,
       '1.2.' || n, 'p' || n, study_id, CASE WHEN n <= 8 THEN 20 END
FROM generate_series(1, 12) AS n
JOIN objects ON objects.key = format('angio/%s.dcm', n)
LEFT JOIN cath_studies ON study_id = 's' || n;
INSERT INTO quarantine (object_id, etag, reason, detail, state, entered_at)
SELECT object_id, etag, 'not_xa', 'a DICOM file, but not an X-ray angiogram', 'open', '2026-02-02Z'
FROM angiogram_views WHERE state = 'quarantined';
INSERT INTO source_faults (kind, source_key, line, reason, state, first_seen_at, seen_at)
VALUES ('report', 'reports/cath.csv', 17, 'row_segment_unknown', 'open', '2026-02-01Z', '2026-02-02Z'),
       ('report', 'reports/cath.csv', 3, 'row_id_missing', 'mended', '2026-01-01Z', '2026-01-02Z');
INSERT INTO training_runs (id, preset, state, stage, started_at, data_as_of, finished_at, new_pairs, config,
                           model_version, outcome, reasons)
VALUES ('00000000-0000-0000-0000-000000000011', 'small', 'finished', 'publish', '2026-01-03 00:00Z',
        '2026-01-03 00:01Z', '2026-01-03 01:00Z', 900, '{}', 'synthetic-2', 'shadow', '{as good as the champion}'),
       ('00000000-0000-0000-0000-000000000012', 'small', 'skipped', NULL, '2026-01-10 00:00Z', NULL,
        '2026-01-10 00:00Z', 3, '{}', NULL, NULL, '{"3 new pairs, fewer than 50"}');

ANALYZE;

-- Who judged those that are judged.
INSERT INTO reviews (ecg_id, outcome, reviewed_by, reviewed_at, note)
SELECT ecgs.id, flags.state, 'reviewer ' || flags.id % 3, flags.raised_at + interval '1 day',
       CASE WHEN flags.id % 2 = 0 THEN 'seen on the ward' END
FROM flags JOIN ecgs USING (content_hash)
WHERE flags.state IN ('confirmed', 'dismissed')
ORDER BY flags.raised_at, flags.id;

-- Whom a person wants to see later.
INSERT INTO snoozes (ecg_id, until, snoozed_by, reason)
SELECT ecgs.id, '2999-12-31', 'Dr A', 'comes back after treatment'
FROM flags JOIN ecgs USING (content_hash)
WHERE flags.state = 'open'
ORDER BY flags.id
LIMIT 2;

-- A number that was merged into another, and one that no longer is.
INSERT INTO patient_merges (former_id, present_id, state, source, made_by, reason, made_at, ended_by, ended_at)
VALUES ('old1', 'p1', 'active', 'command', 'archivist', 'the same person', '2026-02-01Z', NULL, NULL),
       ('old2', 'p1', 'ended', 'command', 'archivist', 'a mistake', '2026-01-01Z', 'archivist', '2026-01-02Z');
INSERT INTO patient_aliases (patient_id, present_id) VALUES ('old1', 'p1');
INSERT INTO validations (id, model_version, ran_at, sites, ecgs, patients, figures, report_key, files, code_version)
VALUES ('00000000-0000-0000-0000-000000000021', 'synthetic-2', '2026-02-01 00:00Z', '{north,south}', 300, 200,
        '{"targets": {"stenosis_70": {"patients_with": 80, "patients_without": 120,
          "auroc": {"value": 0.71, "lower": 0.64, "upper": 0.78}}}}', 'validation/2.html', '{}', '0'),
       ('00000000-0000-0000-0000-000000000022', 'synthetic-2', '2026-03-01 00:00Z', '{}', 9, 8,
        '{"targets": {"stenosis_70": {"patients_with": 2, "patients_without": 6, "cannot_tell": "too few"}}}',
        'validation/3.html', '{}', '0');

-- Some patients without a flag were drawn for an examination.
INSERT INTO verification_draws (drawn_at, model_version, share, scored_from, scored_until, eligible, drawn)
VALUES ('2026-02-02Z', 'synthetic-2', 0.02, '2026-02-01Z', '2026-02-02Z', 200, 5);
INSERT INTO verification_sample (content_hash, draw_id, month, chance)
SELECT content_hash, 1, '2020-01', 0.02
FROM ecgs
WHERE NOT EXISTS (SELECT FROM flags WHERE flags.patient_id = ecgs.patient_id)
ORDER BY EXISTS (SELECT FROM cath_studies WHERE cath_studies.patient_id = ecgs.patient_id), id
LIMIT 5;
