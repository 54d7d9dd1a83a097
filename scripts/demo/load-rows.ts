/** The same input makes the same statements, and these the same rows. */
export interface RowJobsInput {
  orders: number;
  seed: number;
  /** RFC 3339; orders are placed from here … */
  from: string;
  /** … to before here. */
  until: string;
}

/**
 * Statements that make the shop's rows in the server, largest first; they can run at the same time and in any order.
 * Every value follows from the row's number and the seed alone (`ops.chance`), never from `random()` or the clock.
 */
export function rowJobs({ orders, seed, from, until }: RowJobsInput): string[] {
  const customers = Math.ceil(orders / 5);
  const products = Math.ceil(orders / 40);
  const chance = (n: string, salt: number) => `ops.chance(${n}, ${Math.trunc(seed) * 100 + salt})`;
  const pick = (n: string, salt: number, ...words: string[]) =>
    `(ARRAY[${words.map((word) => `'${word}'`).join(',')}])[1 + (${chance(n, salt)} * ${words.length})::int % ${words.length}]`;
  const placedAt = (n: string) =>
    `('${from}'::timestamptz + (${n} - 1) * (('${until}'::timestamptz - '${from}'::timestamptz) / ${orders}))`;
  const slices = 4;
  const slice = (index: number) => `generate_series(${Math.floor((orders * index) / slices) + 1}, ${Math.floor((orders * (index + 1)) / slices)}) i`;

  const lines = Array.from({ length: slices }, (_, index) => `
    INSERT INTO sales.order_line (order_id, placed_at, line_no, product_id, quantity, unit_price, discount)
    SELECT i, ${placedAt('i')}, l, 1 + (${chance('i * 8 + l', 1)} * ${products})::int % ${products}, 1 + (${chance('i * 8 + l', 2)} * 5)::int,
           (5 + ${chance('i * 8 + l', 3)} * 200)::numeric(12,2), CASE WHEN i % 9 = 0 THEN 0.1 ELSE 0 END
    FROM ${slice(index)}, LATERAL generate_series(1, 1 + i % 4) l`);
  const heads = Array.from({ length: slices }, (_, index) => `
    INSERT INTO sales."order" (id, placed_at, customer_id, status, total, channel, note, details)
    SELECT i, ${placedAt('i')}, 1 + (${chance('i', 4)} * ${customers})::int % ${customers},
           (${pick('i', 5, 'new', 'paid', 'packed', 'shipped', 'shipped', 'shipped', 'returned', 'cancelled')})::sales.order_status,
           (SELECT sum(round((1 + (${chance('i * 8 + l', 2)} * 5)::int) * (5 + ${chance('i * 8 + l', 3)} * 200)::numeric(12,2)
              * (1 - (CASE WHEN i % 9 = 0 THEN 0.1 ELSE 0 END)::float4)::numeric, 2)) FROM generate_series(1, 1 + i % 4) l),
           ${pick('i', 6, 'web', 'app', 'phone', 'partner')},
           CASE WHEN i % 5 > 0 THEN 'Leave it at door ' || i % 97 || ', please, and ring twice; the dog is harmless' END,
           CASE WHEN i % 3 > 0 THEN jsonb_build_object('gift', i % 2 = 0, 'coupon', 'C' || i % 1000, 'weight', ${chance('i', 7)}) END
    FROM ${slice(index)}`);
  return [
    ...lines,
    ...heads,
    `INSERT INTO history.shipment
     SELECT i, 1 + (${chance('i', 10)} * 50)::int, i % 12, (i % 5000 / 10.0)::numeric(8,1), date '2020-01-01' + i % 1400,
            'Parcel ' || i || ' went out on lane ' || i % 40 || '; signed for at the door, no card was left, weighed twice, nothing broken'
     FROM generate_series(1, ${orders * 3}) i`,
    `INSERT INTO sales.customer (ref, name, email, region, tier, credit, score, address, tags, member_during, created_at)
     SELECT md5('customer ' || i || ' ${Math.trunc(seed)}')::uuid,
            ${pick('i', 20, 'Ada', 'Björn', 'Chloé', 'Dimitri', 'Eun-ji', 'Fatima', 'Grace', '花子')} || ' ' || ${pick('i', 21, 'Ångström', 'Brown', 'Çelik', 'Díaz', 'Evans', 'Müller')},
            CASE WHEN i % 2 = 0 THEN 'User' ELSE 'user' END || i || '@example.com', ${pick('i', 22, 'north', 'south', 'east', 'west')},
            (${pick('i', 23, 'bronze', 'bronze', 'silver', 'gold', 'platinum')})::sales.tier, (${chance('i', 24)} * 5000)::numeric(12,2),
            CASE i % 50 WHEN 0 THEN '-0'::float8 WHEN 1 THEN 'NaN'::float8 WHEN 2 THEN NULL ELSE ${chance('i', 25)} END,
            jsonb_build_object('street', 'Long Road ' || i % 300, 'city', ${pick('i', 26, 'Oslo', 'Turku', 'Porto', 'Łódź')}, 'zip', lpad((i % 99999)::text, 5, '0')),
            ARRAY['tag' || i % 10, 'tag' || i % 17], tstzrange('${from}'::timestamptz - i % 900 * interval '1 day', CASE WHEN i % 4 = 0 THEN '${until}'::timestamptz END),
            '${from}'::timestamptz - i * interval '1 minute'
     FROM generate_series(1, ${customers}) i`,
    `INSERT INTO history.price
     SELECT i, 1 + i % 7, 1 + i % ${products}, (5 + i % 400 / 2.0)::numeric(8,1), 'list ' || i % 60 FROM generate_series(1, ${orders}) i`,
    `INSERT INTO history.scan SELECT i, i % 1000, i % 8, (i % 100 / 10.0)::numeric(6,1), 'gate ' || i % 8
     FROM generate_series(1, ${Math.ceil(orders / 4)}) i, generate_series(1, 2) twice ORDER BY i`,
    `INSERT INTO sales.product (sku, name, price, weight_kg, attributes, sizes, thumbnail, sold_during)
     SELECT 'ART-' || lpad(i::text, 6, '0'), ${pick('i', 30, 'Äpfel', 'Birnen', 'Zange', 'Lampe', 'Stuhl')} || ' Nr. ' || i, (1 + ${chance('i', 31)} * 300)::numeric(12,2),
            ${chance('i', 32)} * 20, jsonb_build_object('color', ${pick('i', 33, 'red', 'green', 'blue')}, 'ratio', (i % 10) || '.50', 'parts', jsonb_build_array(i, i % 7)),
            ARRAY[i % 40, i % 41, NULL], sha256(convert_to('thumb ' || i, 'UTF8')) || decode(repeat('00ff', 20), 'hex'),
            daterange(date '2024-01-01' + i % 300, NULL)
     FROM generate_series(1, ${products}) i`,
    `INSERT INTO ops.scan_event SELECT '${from}'::timestamptz + i / 3 * interval '1 second', 'station ' || i / 3 % 5, i / 3 % 100, (i / 3 % 100) / 8.0
     FROM generate_series(1, ${Math.ceil(orders / 4)}) i`,
    `INSERT INTO ops.document (title, content)
     SELECT 'Invoice ' || i, lo_from_bytea(0, convert_to(repeat('Invoice ' || i || E'\\n', 200 + i % 300), 'UTF8')) FROM generate_series(1, 120) i`,
    `INSERT INTO ops.warehouse SELECT i, ROW(59 + i / 10.0, 10 + i / 7.0)::ops.geo_point, ops.temperature(-i, 20 + i), ('10.0.' || i || '.0/24')::inet,
       ARRAY[int4range(8, 12), int4range(13, 18)], date '2015-01-01' + i, i * interval '1 hour 5 minutes', (i % 256)::bit(8), time '06:00' FROM generate_series(1, 40) i;
     INSERT INTO "Back Office"."Größe & Farbe" SELECT i, 'Größe ' || i % 6, CASE WHEN i % 3 > 0 THEN 'Ton "' || i || '"' END, '商品' || i FROM generate_series(1, 500) i;
     INSERT INTO "Back Office"."SELECT" SELECT i, 'where ' || i FROM generate_series(1, 50) i;
     INSERT INTO ops.heartbeat SELECT i, '${until}', 0 FROM generate_series(1, 4) i;
     INSERT INTO ops.reshaped SELECT i, i * 3, 'label ' || i FROM generate_series(1, 2000) i;
     INSERT INTO ops.page_cache (key, body) SELECT 'page ' || i, repeat('x', 100) FROM generate_series(1, 300) i;
     INSERT INTO ops.staging (payload) SELECT jsonb_build_object('row', i) FROM generate_series(1, 500) i`,
  ];
}
