-- The paper's four tables (Fig. 2), its columns first and ours beside them.
-- `tombstones` remembers removed photos, so that a late event resurrects none.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT
) STRICT;

CREATE TABLE photos (
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    path TEXT NOT NULL,
    date TEXT NOT NULL,
    latitude REAL,
    longitude REAL,
    "delete" INTEGER NOT NULL DEFAULT 0 CHECK ("delete" IN (0, 1)),
    user_id TEXT NOT NULL REFERENCES users (id),
    taken_at TEXT NOT NULL,
    time_source TEXT NOT NULL,
    generation INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    damaged INTEGER NOT NULL CHECK (damaged IN (0, 1)),
    subject TEXT,
    sharpness REAL,
    exposure REAL NOT NULL,
    descriptor BLOB NOT NULL,
    fingerprint TEXT NOT NULL,
    decision TEXT CHECK (decision IN ('keep', 'trash')),
    pending_dates TEXT NOT NULL DEFAULT '[]',
    analysed_at TEXT NOT NULL,
    features BLOB,
    kept_for INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, id)
) STRICT;

CREATE TABLE tags (
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    person INTEGER CHECK (person IN (0, 1)),
    animal INTEGER CHECK (animal IN (0, 1)),
    vehicle INTEGER CHECK (vehicle IN (0, 1)),
    furniture INTEGER CHECK (furniture IN (0, 1)),
    book INTEGER CHECK (book IN (0, 1)),
    bag INTEGER CHECK (bag IN (0, 1)),
    sports INTEGER CHECK (sports IN (0, 1)),
    food INTEGER CHECK (food IN (0, 1)),
    device INTEGER CHECK (device IN (0, 1)),
    user_id TEXT NOT NULL,
    subject TEXT,
    objects TEXT,
    detector TEXT,
    version TEXT,
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, id) REFERENCES photos (user_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE deletions (
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    similar INTEGER NOT NULL DEFAULT 0 CHECK (similar IN (0, 1)),
    shaken INTEGER NOT NULL CHECK (shaken IN (0, 1)),
    dark INTEGER NOT NULL CHECK (dark IN (0, 1)),
    screenshot INTEGER NOT NULL CHECK (screenshot IN (0, 1)),
    user_id TEXT NOT NULL,
    similar_group TEXT,
    similar_kind TEXT CHECK (similar_kind IN ('copy', 'shot')),
    keeper TEXT,
    similarity REAL,
    similarity_threshold REAL,
    grouped_by TEXT,
    sharpness REAL,
    sharpness_threshold REAL NOT NULL,
    dark_probability REAL NOT NULL,
    dark_threshold REAL NOT NULL,
    screenshot_probability REAL NOT NULL,
    screenshot_threshold REAL NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, id) REFERENCES photos (user_id, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE tombstones (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    decision TEXT CHECK (decision IN ('keep', 'trash')),
    pending_dates TEXT NOT NULL DEFAULT '[]',
    expires_at TEXT NOT NULL,
    sha256 TEXT,
    kept_for INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, id)
) STRICT;

-- Photos that are out of the library and may come back; `rows` holds what they had
-- in the tables above, as JSON, blobs in base64.
CREATE TABLE trash (
    user_id TEXT NOT NULL,
    run TEXT NOT NULL,
    id TEXT NOT NULL,
    unit TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('moving', 'trashed', 'restoring', 'purging')),
    trashed_at TEXT NOT NULL,
    reason TEXT NOT NULL,
    title TEXT NOT NULL,
    date TEXT NOT NULL,
    files TEXT NOT NULL,
    kept TEXT,
    kept_sha256 TEXT,
    rows TEXT NOT NULL,
    PRIMARY KEY (user_id, run, id)
) STRICT;

-- One index a search: by day, place and address; by tag; by reason. With what sorts
-- the photos, or is summed up, so that none of them has to be read for that.
CREATE INDEX photos_by_date ON photos (user_id, date, taken_at, id);
CREATE INDEX photos_by_place ON photos (user_id, latitude, longitude)
    WHERE latitude IS NOT NULL;
CREATE INDEX photos_by_path ON photos (user_id, path);
CREATE INDEX photos_recommended ON photos (user_id, date, taken_at, id, bytes)
    WHERE "delete";
CREATE INDEX photos_decided ON photos (user_id, decision, date, taken_at, id)
    WHERE decision IS NOT NULL;
CREATE INDEX trash_by_time ON trash (user_id, trashed_at, run, id);
CREATE INDEX trash_by_state ON trash (user_id, state, trashed_at, run, id);
CREATE INDEX trash_by_run ON trash (user_id, run, trashed_at, id);
CREATE INDEX trash_by_id ON trash (user_id, id);
CREATE INDEX trash_by_kept ON trash (user_id, kept) WHERE kept IS NOT NULL;
CREATE INDEX tombstones_expired ON tombstones (expires_at);

-- Photos that wait for a day, and those that wait for several.
CREATE INDEX photos_pending ON photos (user_id, pending_dates)
    WHERE pending_dates <> '[]';
CREATE INDEX photos_pending_several ON photos (user_id)
    WHERE instr(pending_dates, ',');
CREATE INDEX tombstones_pending ON tombstones (user_id, pending_dates)
    WHERE pending_dates <> '[]';
CREATE INDEX tombstones_pending_several ON tombstones (user_id)
    WHERE instr(pending_dates, ',');

CREATE INDEX tags_detected ON tags (user_id) WHERE detector IS NOT NULL;
CREATE INDEX tags_person ON tags (user_id, id) WHERE person;
CREATE INDEX tags_animal ON tags (user_id, id) WHERE animal;
CREATE INDEX tags_vehicle ON tags (user_id, id) WHERE vehicle;
CREATE INDEX tags_furniture ON tags (user_id, id) WHERE furniture;
CREATE INDEX tags_book ON tags (user_id, id) WHERE book;
CREATE INDEX tags_bag ON tags (user_id, id) WHERE bag;
CREATE INDEX tags_sports ON tags (user_id, id) WHERE sports;
CREATE INDEX tags_food ON tags (user_id, id) WHERE food;
CREATE INDEX tags_device ON tags (user_id, id) WHERE device;

CREATE INDEX deletions_similar ON deletions (user_id, id) WHERE similar;
CREATE INDEX deletions_by_group ON deletions (user_id, similar_group)
    WHERE similar_group IS NOT NULL;
CREATE INDEX deletions_shaken ON deletions (user_id, id) WHERE shaken;
CREATE INDEX deletions_dark ON deletions (user_id, id) WHERE dark;
CREATE INDEX deletions_screenshot ON deletions (user_id, id) WHERE screenshot;
