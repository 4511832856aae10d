-- What databases do: inserts in a transaction, an index, joins, aggregates, a window function, text search.
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, town INTEGER, age INTEGER);
CREATE TABLE town(id INTEGER PRIMARY KEY, name TEXT);
BEGIN;
INSERT INTO town WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
  SELECT i, 'town ' || (i * 37 % 211) FROM n;
INSERT INTO person WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < SIZE)
  SELECT i, 'person ' || (i * 7919 % 10007), i * 31 % 200 + 1, i * 13 % 90 FROM n;
COMMIT;
CREATE INDEX by_town ON person(town, age);
SELECT town.name, count(*), sum(age) FROM person JOIN town ON town.id = person.town
  WHERE age BETWEEN 20 AND 60 GROUP BY town.id ORDER BY 2 DESC, 1 LIMIT 5;
SELECT count(*) FROM person WHERE name LIKE '%77%';
SELECT sum(r) FROM (SELECT rank() OVER (PARTITION BY town ORDER BY age, id) AS r FROM person);
UPDATE person SET age = age + 1 WHERE town % 3 = 0;
DELETE FROM person WHERE id % 7 = 0;
SELECT count(*), sum(age), max(name) FROM person;
