-- A small hospital with ECGs of four sites: a patient of each, one of two sites, one without a site, a merged one.
INSERT INTO models (version, state, folder, sha256, preprocessing_version, manifest)
VALUES ('m', 'champion', 'models/m/', '', 'p', '{"thresholds": {"stenosis_70": {"value": 0.5, "rule": "r"}}}'),
       ('c', 'candidate', 'models/c/', '', 'p', '{"gate": {}}');
INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device, host)
VALUES ('00000000-0000-0000-0000-000000000001', 'm', 'p', 'running', '0', 'cpu', 'here');
INSERT INTO objects (key, record_key, etag, size_bytes, content_hash)
SELECT 'ecg/' || i || '.hea', 'ecg/' || i, '', 1, sha256(CAST(i || '' AS bytea)) FROM generate_series(1, 8) AS i;
INSERT INTO ecgs (content_hash, patient_id, sampling_rate, seconds, object_id, site, acquired_at)
SELECT o.content_hash, e.patient_id, 500, 10, o.id, e.site, timestamptz '2026-03-01Z' + o.id * interval '1 day'
FROM objects AS o
JOIN (VALUES (1, 'n', 'north'), (2, 'both', 'north'), (3, 'both', 'east'), (4, 's', 'south'), (5, 'w', 'west'),
             (6, 'homeless', NULL), (7, 'merged', 'north'), (8, 'merged', 'south'))
    AS e (number, patient_id, site) ON o.key = 'ecg/' || e.number || '.hea';
INSERT INTO identity.patients (patient_id, number)
SELECT DISTINCT patient_id, 'number of ' || patient_id FROM ecgs UNION VALUES ('former', 'number of former');
INSERT INTO scores (content_hash, model_version, preprocessing_version, stenosis_50, stenosis_70, stenosis_90,
                    stenosis_100, rca_70, lca_70, run_id)
SELECT content_hash, 'm', 'p', 0.9, 0.8, 0.1, 0.1, 0.1, 0.1, '00000000-0000-0000-0000-000000000001' FROM ecgs;
INSERT INTO worklist (object_id, model_version, etag, state) SELECT id, 'm', '', 'scored' FROM objects;
INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state)
SELECT content_hash, 'm', 'stenosis_70', patient_id, 0.8, 0.5, 'r', 'open' FROM ecgs;
INSERT INTO ecg_pages (content_hash, model_version, object_key, patient_id)
SELECT content_hash, 'm', 'pages/' || id, patient_id FROM ecgs;
INSERT INTO flag_exports (flag_id, format, destination, status, patient_id)
SELECT id, 'csv', 'export/', 'final', patient_id FROM flags;
INSERT INTO cath_studies (study_id, patient_id, performed_at, split, max_degree, report_key, fingerprint)
SELECT DISTINCT patient_id, patient_id, timestamptz '2025-01-01Z', 'train', 20, 'reports/a.csv', '' FROM ecgs;
INSERT INTO patient_merges (former_id, present_id, state, source, made_by, reason)
VALUES ('former', 'merged', 'active', 'command', 'ada', 'same person'), ('other', 's', 'active', 'command', 'ada', 'same');
INSERT INTO patient_aliases (patient_id, present_id) VALUES ('former', 'merged'), ('other', 's');
SELECT review_ecg(id, 'confirmed', 'ada') FROM ecgs;
SELECT snooze_patient(id, '2020-01-01', 'ada', 'holiday') FROM ecgs;
