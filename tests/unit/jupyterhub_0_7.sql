-- What JupyterHub 0.7.2 wrote: kaben, an admin with a token, and octo-cat.
BEGIN TRANSACTION;
CREATE TABLE api_tokens (
	id INTEGER NOT NULL,
	hashed VARCHAR(1023),
	prefix VARCHAR(1023),
	user_id INTEGER,
	service_id INTEGER,
	PRIMARY KEY (id),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
	FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE
);
INSERT INTO "api_tokens" VALUES(1,'sha512:16384:00:00','d79d',1,NULL);
CREATE TABLE groups (
	id INTEGER NOT NULL,
	name VARCHAR(1023),
	PRIMARY KEY (id),
	UNIQUE (name)
);
CREATE TABLE hubs (
	id INTEGER NOT NULL,
	_server_id INTEGER,
	PRIMARY KEY (id),
	FOREIGN KEY(_server_id) REFERENCES servers (id)
);
INSERT INTO "hubs" VALUES(1,1);
CREATE TABLE proxies (
	id INTEGER NOT NULL,
	_public_server_id INTEGER,
	_api_server_id INTEGER,
	PRIMARY KEY (id),
	FOREIGN KEY(_public_server_id) REFERENCES servers (id),
	FOREIGN KEY(_api_server_id) REFERENCES servers (id)
);
INSERT INTO "proxies" VALUES(1,2,3);
CREATE TABLE servers (
	id INTEGER NOT NULL,
	proto VARCHAR(15),
	ip VARCHAR(255),
	port INTEGER,
	base_url VARCHAR(255),
	cookie_name VARCHAR(255),
	PRIMARY KEY (id)
);
INSERT INTO "servers" VALUES(1,'http','jupyterhub',8080,'/hub/','jupyter-hub-token');
INSERT INTO "servers" VALUES(2,'http','',8000,'/','cookie');
INSERT INTO "servers" VALUES(3,'http','',8001,'/','cookie');
CREATE TABLE services (
	id INTEGER NOT NULL,
	name VARCHAR(1023),
	admin BOOLEAN,
	_server_id INTEGER,
	pid INTEGER,
	PRIMARY KEY (id),
	UNIQUE (name),
	CHECK (admin IN (0, 1)),
	FOREIGN KEY(_server_id) REFERENCES servers (id)
);
CREATE TABLE user_group_map (
	user_id INTEGER NOT NULL,
	group_id INTEGER NOT NULL,
	PRIMARY KEY (user_id, group_id),
	FOREIGN KEY(user_id) REFERENCES users (id),
	FOREIGN KEY(group_id) REFERENCES groups (id)
);
CREATE TABLE users (
	id INTEGER NOT NULL,
	name VARCHAR(1023),
	_server_id INTEGER,
	admin BOOLEAN,
	last_activity DATETIME,
	cookie_id VARCHAR(1023),
	state TEXT,
	auth_state TEXT,
	PRIMARY KEY (id),
	UNIQUE (name),
	FOREIGN KEY(_server_id) REFERENCES servers (id) ON DELETE SET NULL,
	CHECK (admin IN (0, 1))
);
INSERT INTO "users" VALUES(1,'kaben',NULL,1,'2017-03-01 12:00:00.000000','a',NULL,NULL);
INSERT INTO "users" VALUES(2,'octo-cat',NULL,0,'2017-03-01 12:00:00.000000','b',NULL,NULL);
COMMIT;
