BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('833da8570507');
CREATE TABLE api_token_role_map (
	api_token_id INTEGER NOT NULL, 
	role_id INTEGER NOT NULL, 
	CONSTRAINT pk_api_token_role_map PRIMARY KEY (api_token_id, role_id), 
	CONSTRAINT fk_api_token_role_map_api_token_id_api_tokens FOREIGN KEY(api_token_id) REFERENCES api_tokens (id) ON DELETE CASCADE, 
	CONSTRAINT fk_api_token_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
INSERT INTO "api_token_role_map" VALUES(1,4);
INSERT INTO "api_token_role_map" VALUES(2,4);
INSERT INTO "api_token_role_map" VALUES(3,4);
INSERT INTO "api_token_role_map" VALUES(4,4);
CREATE TABLE api_tokens (
	user_id INTEGER, 
	service_id INTEGER, 
	id INTEGER NOT NULL, 
	hashed VARCHAR(255), 
	prefix VARCHAR(16), 
	client_id VARCHAR(255), 
	session_id VARCHAR(255), 
	created DATETIME, 
	expires_at DATETIME, 
	last_activity DATETIME, 
	note VARCHAR(1023), 
	CONSTRAINT pk_api_tokens PRIMARY KEY (id), 
	CONSTRAINT fk_api_tokens_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_api_tokens_service_id_services FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE, 
	CONSTRAINT uq_api_tokens_hashed UNIQUE (hashed), 
	CONSTRAINT fk_api_tokens_client_id_oauth_clients FOREIGN KEY(client_id) REFERENCES oauth_clients (identifier) ON DELETE CASCADE
);
INSERT INTO "api_tokens" VALUES(1,NULL,1,'sha512:1:27422d8f9d1486cf:c82f7f80cfea8dfd4cc00458d01fb167a50d0abd7b1f98e144ad848591b2230543fb119f276fccae885ded2442710f484d7c4cbd92b667bb069212412f958ba4','f3c5','jupyterhub',NULL,'2026-11-28 10:53:41.552975',NULL,NULL,'a program of mine');
INSERT INTO "api_tokens" VALUES(3,NULL,2,'sha512:1:fbe18d997b3e3869:92015f78fd544e5fd3c51a3c3ec4dd8f50e321543f129d20c33dbf21ed8e97e4ac82ad1848cf93631059ccfd90b891cbc82e923203880c9b615cbeca170bf910','62bd','jupyterhub',NULL,'2026-11-28 10:53:41.558639',NULL,NULL,'a program of mine');
INSERT INTO "api_tokens" VALUES(2,NULL,3,'sha512:1:800e6630b3c5685c:ba5940386a2f4d978a859164180f3c919e69ef4278f16fc89785d1df99974f9c4446fee03e6e4c9983d36adbe8a93c6f5c7caa218af854fa18fdea2600fc115c','7c44','jupyterhub',NULL,'2026-11-28 10:53:41.566266',NULL,NULL,'a program of mine');
INSERT INTO "api_tokens" VALUES(3,NULL,4,'sha512:1:5d75c9d6246ea212:ddab603a0698409f14991d619a740a2b7ea98b1c13df6b97276bbe4b92c96d1d10efc20c5cf412eea457dd884aa65592c153afccf3e3adacdb1e9b8f891a70a5','2326','jupyterhub',NULL,'2026-11-28 10:53:41.595263',NULL,NULL,'Server at /user/ada/');
CREATE TABLE group_role_map (
	group_id INTEGER NOT NULL, 
	role_id INTEGER NOT NULL, 
	CONSTRAINT pk_group_role_map PRIMARY KEY (group_id, role_id), 
	CONSTRAINT fk_group_role_map_group_id_groups FOREIGN KEY(group_id) REFERENCES groups (id) ON DELETE CASCADE, 
	CONSTRAINT fk_group_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE groups (
	id INTEGER NOT NULL, 
	name VARCHAR(255), 
	CONSTRAINT pk_groups PRIMARY KEY (id), 
	CONSTRAINT uq_groups_name UNIQUE (name)
);
INSERT INTO "groups" VALUES(1,'lab');
CREATE TABLE oauth_client_role_map (
	oauth_client_id INTEGER NOT NULL, 
	role_id INTEGER NOT NULL, 
	CONSTRAINT pk_oauth_client_role_map PRIMARY KEY (oauth_client_id, role_id), 
	CONSTRAINT fk_oauth_client_role_map_oauth_client_id_oauth_clients FOREIGN KEY(oauth_client_id) REFERENCES oauth_clients (id) ON DELETE CASCADE, 
	CONSTRAINT fk_oauth_client_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE oauth_clients (
	id INTEGER NOT NULL, 
	identifier VARCHAR(255), 
	description VARCHAR(1023), 
	secret VARCHAR(255), 
	redirect_uri VARCHAR(1023), 
	CONSTRAINT pk_oauth_clients PRIMARY KEY (id), 
	CONSTRAINT uq_oauth_clients_identifier UNIQUE (identifier)
);
INSERT INTO "oauth_clients" VALUES(1,'jupyterhub','JupyterHub','','');
INSERT INTO "oauth_clients" VALUES(2,'jupyterhub-user-ada','Server at /user/ada/','sha512:16384:f9c1ec371a312c9e:9221d28b62bd3346697f1098278d11038178a07b48f3458885561acb6ef2fe9bcf41ddd6162e27b204b226b4f322314bf3a319eb3c1f4982db466d491cb193fb','/user/ada/oauth_callback');
CREATE TABLE oauth_code_role_map (
	oauth_code_id INTEGER NOT NULL, 
	role_id INTEGER NOT NULL, 
	CONSTRAINT pk_oauth_code_role_map PRIMARY KEY (oauth_code_id, role_id), 
	CONSTRAINT fk_oauth_code_role_map_oauth_code_id_oauth_codes FOREIGN KEY(oauth_code_id) REFERENCES oauth_codes (id) ON DELETE CASCADE, 
	CONSTRAINT fk_oauth_code_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE oauth_codes (
	id INTEGER NOT NULL, 
	client_id VARCHAR(255), 
	code VARCHAR(36), 
	expires_at INTEGER, 
	redirect_uri VARCHAR(1023), 
	session_id VARCHAR(255), 
	user_id INTEGER, 
	CONSTRAINT pk_oauth_codes PRIMARY KEY (id), 
	CONSTRAINT fk_oauth_codes_client_id_oauth_clients FOREIGN KEY(client_id) REFERENCES oauth_clients (identifier) ON DELETE CASCADE, 
	CONSTRAINT fk_oauth_codes_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE roles (
	id INTEGER NOT NULL, 
	name VARCHAR(255), 
	description VARCHAR(1023), 
	scopes TEXT, 
	CONSTRAINT pk_roles PRIMARY KEY (id), 
	CONSTRAINT uq_roles_name UNIQUE (name)
);
INSERT INTO "roles" VALUES(1,'user','Standard user privileges','["self"]');
INSERT INTO "roles" VALUES(2,'admin','Elevated privileges (can do anything)','["admin:users", "admin:servers", "tokens", "admin:groups", "list:services", "read:services", "read:hub", "proxy", "shutdown", "access:services", "access:servers", "read:roles", "read:metrics"]');
INSERT INTO "roles" VALUES(3,'server','Post activity only','["users:activity!user", "access:servers!user"]');
INSERT INTO "roles" VALUES(4,'token','Token with same permissions as its owner','["inherit"]');
CREATE TABLE servers (
	id INTEGER NOT NULL, 
	proto VARCHAR(15), 
	ip VARCHAR(255), 
	port INTEGER, 
	base_url VARCHAR(255), 
	cookie_name VARCHAR(255), 
	CONSTRAINT pk_servers PRIMARY KEY (id)
);
INSERT INTO "servers" VALUES(1,'http','172.20.128.3',8888,'/user/ada/','cookie');
CREATE TABLE service_role_map (
	service_id INTEGER NOT NULL, 
	role_id INTEGER NOT NULL, 
	CONSTRAINT pk_service_role_map PRIMARY KEY (service_id, role_id), 
	CONSTRAINT fk_service_role_map_service_id_services FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE, 
	CONSTRAINT fk_service_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
CREATE TABLE services (
	id INTEGER NOT NULL, 
	name VARCHAR(255), 
	admin BOOLEAN, 
	_server_id INTEGER, 
	pid INTEGER, 
	oauth_client_id VARCHAR(255), 
	CONSTRAINT pk_services PRIMARY KEY (id), 
	CONSTRAINT uq_services_name UNIQUE (name), 
	CONSTRAINT fk_services__server_id_servers FOREIGN KEY(_server_id) REFERENCES servers (id) ON DELETE SET NULL, 
	CONSTRAINT fk_services_oauth_client_id_oauth_clients FOREIGN KEY(oauth_client_id) REFERENCES oauth_clients (identifier) ON DELETE SET NULL
);
CREATE TABLE spawners (
	id INTEGER NOT NULL, 
	user_id INTEGER, 
	server_id INTEGER, 
	state TEXT, 
	name VARCHAR(255), 
	started DATETIME, 
	last_activity DATETIME, 
	user_options TEXT, 
	oauth_client_id VARCHAR(255), 
	CONSTRAINT pk_spawners PRIMARY KEY (id), 
	CONSTRAINT fk_spawners_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_spawners_server_id_servers FOREIGN KEY(server_id) REFERENCES servers (id) ON DELETE SET NULL, 
	CONSTRAINT fk_spawners_oauth_client_id_oauth_clients FOREIGN KEY(oauth_client_id) REFERENCES oauth_clients (identifier) ON DELETE SET NULL
);
INSERT INTO "spawners" VALUES(1,3,1,'{"object_id": "1f2e3d4c5b6a", "object_name": "lab-user-ada"}','',NULL,NULL,NULL,'jupyterhub-user-ada');
CREATE TABLE user_group_map (
	user_id INTEGER NOT NULL, 
	group_id INTEGER NOT NULL, 
	CONSTRAINT pk_user_group_map PRIMARY KEY (user_id, group_id), 
	CONSTRAINT fk_user_group_map_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_user_group_map_group_id_groups FOREIGN KEY(group_id) REFERENCES groups (id) ON DELETE CASCADE
);
INSERT INTO "user_group_map" VALUES(3,1);
INSERT INTO "user_group_map" VALUES(2,1);
CREATE TABLE user_role_map (
	user_id INTEGER NOT NULL, 
	role_id INTEGER NOT NULL, 
	CONSTRAINT pk_user_role_map PRIMARY KEY (user_id, role_id), 
	CONSTRAINT fk_user_role_map_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT fk_user_role_map_role_id_roles FOREIGN KEY(role_id) REFERENCES roles (id) ON DELETE CASCADE
);
INSERT INTO "user_role_map" VALUES(1,2);
INSERT INTO "user_role_map" VALUES(1,1);
INSERT INTO "user_role_map" VALUES(3,1);
INSERT INTO "user_role_map" VALUES(2,1);
CREATE TABLE users (
	id INTEGER NOT NULL, 
	name VARCHAR(255), 
	admin BOOLEAN, 
	created DATETIME, 
	last_activity DATETIME, 
	cookie_id VARCHAR(255) NOT NULL, 
	state TEXT, 
	encrypted_auth_state BLOB, 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT uq_users_name UNIQUE (name), 
	CONSTRAINT uq_users_cookie_id UNIQUE (cookie_id)
);
INSERT INTO "users" VALUES(1,'kaben',1,'2026-11-28 10:53:41.494861',NULL,'c293726e3aa5422fa21c75da9cd3d638',NULL,NULL);
INSERT INTO "users" VALUES(2,'octo-cat',0,'2026-11-28 10:53:41.507242',NULL,'781ba292dab64ef7a5af29d04616db1b',NULL,NULL);
INSERT INTO "users" VALUES(3,'ada',0,'2026-11-28 10:53:41.508083',NULL,'54ccbba4d8854fe484d3151af6f266c9',NULL,NULL);
CREATE INDEX ix_api_tokens_prefix ON api_tokens (prefix);
COMMIT;
