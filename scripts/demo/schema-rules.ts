/** What follows the rows: keys, indexes, views, functions, triggers, roles and policies. */
export const schemaKeys: readonly string[] = [
  `ALTER TABLE sales.customer ADD PRIMARY KEY (id);
   CREATE INDEX customer_email ON sales.customer (email);
   CREATE INDEX customer_tags ON sales.customer USING gin (tags);
   ALTER TABLE sales.product ADD PRIMARY KEY (id), ADD CONSTRAINT product_sku_key UNIQUE (sku);
   CREATE INDEX product_words ON sales.product USING gin (words);
   CREATE INDEX product_cheap ON sales.product (lower(name)) WHERE price < 20;`,
  `ALTER TABLE sales."order" ADD PRIMARY KEY (id, placed_at);
   CREATE INDEX order_customer ON sales."order" (customer_id);
   CREATE INDEX order_open ON sales."order" (placed_at) WHERE status IN ('new', 'paid');`,
  `ALTER TABLE sales.order_line ADD PRIMARY KEY (order_id, placed_at, line_no);`,
  `ALTER TABLE history.shipment ADD PRIMARY KEY (id);
   ALTER TABLE history.price ADD PRIMARY KEY (id) USING INDEX TABLESPACE shop_archive;
   CREATE INDEX scan_event_at ON ops.scan_event USING brin (at);`,
];

/** Foreign keys of the two largest columns are `NOT VALID`: the rows are made to fit, and checking them would double the load's time. */
export const schemaRules = String.raw`
ALTER TABLE sales."order" ADD CONSTRAINT order_customer_fk FOREIGN KEY (customer_id) REFERENCES sales.customer;
ALTER TABLE sales.order_line ADD CONSTRAINT line_order_fk FOREIGN KEY (order_id, placed_at)
  REFERENCES sales."order" (id, placed_at) ON DELETE CASCADE NOT VALID;
ALTER TABLE sales.order_line ADD CONSTRAINT line_product_fk FOREIGN KEY (product_id) REFERENCES sales.product NOT VALID;
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gist') THEN
    CREATE TABLE ops.shift (station integer NOT NULL, during tstzrange NOT NULL, EXCLUDE USING gist (station WITH =, during WITH &&));
    INSERT INTO ops.shift SELECT s, tstzrange('2026-01-01'::timestamptz + d * interval '8 hours', '2026-01-01'::timestamptz + (d + 1) * interval '8 hours')
      FROM generate_series(1, 4) s, generate_series(0, 90) d;
  END IF;
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'hstore') THEN
    CREATE TABLE ops.label (id integer PRIMARY KEY, labels hstore NOT NULL);
    INSERT INTO ops.label SELECT i, hstore(ARRAY['lane', 'bin'], ARRAY[(i % 7)::text, 'B' || i]) FROM generate_series(1, 200) i;
  END IF;
END $$;

CREATE FUNCTION sales.order_total(bigint, timestamptz) RETURNS numeric LANGUAGE sql STABLE
  RETURN (SELECT coalesce(sum(line_total), 0) FROM sales.order_line WHERE order_id = $1 AND placed_at = $2);
CREATE FUNCTION sales.keep_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    UPDATE sales."order" SET total = total - OLD.line_total WHERE id = OLD.order_id AND placed_at = OLD.placed_at;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    UPDATE sales."order" SET total = total + NEW.line_total WHERE id = NEW.order_id AND placed_at = NEW.placed_at;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_total AFTER INSERT OR DELETE OR UPDATE OF quantity, unit_price, discount ON sales.order_line
  FOR EACH ROW EXECUTE FUNCTION sales.keep_total();
CREATE FUNCTION ops.record_status() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = ops, pg_catalog AS $$
BEGIN
  INSERT INTO audit (what, order_id, was, became)
    VALUES ('status', NEW.id, jsonb_build_object('status', OLD.status), jsonb_build_object('status', NEW.status));
  RETURN NEW;
END $$;
CREATE TRIGGER record_status AFTER UPDATE OF status ON sales."order"
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION ops.record_status();
CREATE PROCEDURE ops.forget_staging() LANGUAGE sql AS 'TRUNCATE ops.staging';
CREATE AGGREGATE ops.product_of(float8) (sfunc = float8mul, stype = float8, initcond = '1');

CREATE VIEW sales.open_order AS SELECT id, placed_at, customer_id, total FROM sales."order" WHERE status IN ('new', 'paid', 'packed');
CREATE VIEW sales.customer_card WITH (security_barrier) AS SELECT id, name, tier, address->>'city' AS city FROM sales.customer;
CREATE MATERIALIZED VIEW sales.revenue AS
  SELECT date_trunc('day', placed_at, 'UTC') AS day, channel, count(*) AS orders, sum(total) AS total FROM sales."order" GROUP BY 1, 2;
CREATE UNIQUE INDEX revenue_key ON sales.revenue (day, channel);
CREATE MATERIALIZED VIEW ops.tier_count AS SELECT tier, count(*) AS customers, avg(credit) AS credit FROM sales.customer GROUP BY tier;
CREATE STATISTICS sales.order_stats (dependencies) ON status, channel FROM sales."order";
CREATE RULE "read only" AS ON DELETE TO "Back Office"."SELECT" DO INSTEAD NOTHING;
DO $$ BEGIN
  -- Columns and rows of one can be chosen since version 15.
  EXECUTE 'CREATE PUBLICATION shop_products FOR TABLE sales.product'
    || CASE WHEN current_setting('server_version_num')::int >= 150000 THEN ' (id, sku, price) WHERE (id > 0)' ELSE '' END;
END $$;

GRANT USAGE ON SCHEMA sales, ops TO shop_app, shop_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA sales, ops TO shop_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sales TO shop_app;
GRANT INSERT, SELECT ON ops.scan_event, ops.heartbeat, ops.document TO shop_app;
GRANT UPDATE (at, counter) ON ops.heartbeat TO shop_app;
GRANT USAGE ON SEQUENCE sales.order_id TO shop_app;
GRANT SELECT (id, name) ON sales.customer TO shop_auditor WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION ops.record_status() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO shop_reader;
ALTER TABLE sales.product OWNER TO shop_owner;
ALTER DATABASE shop SET timezone = 'UTC';
ALTER ROLE shop_app IN DATABASE shop SET search_path = sales, ops, public;
ALTER TABLE sales.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_region ON sales.customer FOR SELECT TO shop_app USING (region = current_setting('shop.region', true));
CREATE POLICY may_add ON sales.customer AS RESTRICTIVE FOR INSERT TO shop_app WITH CHECK (credit >= 0);
CREATE POLICY reads_all ON sales.customer FOR SELECT TO shop_reader USING (true);
`;

/** Cluster-wide roles; the names carry no password, because nobody logs in with them over TCP. */
export const schemaRoles = `
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE shop_reader NOLOGIN;
CREATE ROLE shop_app LOGIN CONNECTION LIMIT 40;
CREATE ROLE shop_auditor LOGIN VALID UNTIL '2099-01-01';
CREATE ROLE "Shop Manager" LOGIN NOINHERIT;
COMMENT ON ROLE shop_app IS 'What the shop''s services log in as';
GRANT shop_reader TO shop_auditor;
GRANT shop_reader TO shop_owner WITH ADMIN OPTION;
DO $$ BEGIN
  -- Said of a single membership since version 16; before, NOINHERIT of the member says it of all.
  EXECUTE 'GRANT shop_owner TO "Shop Manager"' || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT FALSE' ELSE '' END;
END $$;
`;
