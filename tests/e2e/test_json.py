"""JSON in playbooks: json.encode, json.decode, json.array, json.null."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402


class Json(AuthorTest):

    def noted(self, body, *words):
        """What a step with this body notes, line by line."""
        done = self.step(body, "--json", *words)
        self.expect(done, code=0)
        return [event["text"] for event in self.events(done, "note")]

    def test_integers_of_64_bits_stay_exact_and_a_float_stays_a_float(self):
        self.assertEqual(self.noted("""
            local d = json.decode '{"id": 9007199254740993, "least": -9223372036854775808, "f": 1.0, "x": 0.1}'
            note("%s %s", d.id, math.type(d.f))
            note("%s", json.encode(d))"""),
            ["9007199254740993 float", '{"f":1.0,"id":9007199254740993,"least":-9223372036854775808,"x":0.1}'])

    def test_null_is_a_value_that_can_be_asked_for_and_bound(self):
        self.assertEqual(self.noted("""
            local d = json.decode '{"n": null}'
            note("%s %s %s", d.n == json.null, d.absent == nil, json.encode(d))
            note("%s", sql "primary":value("SELECT $1::int IS NULL", { json.null }))"""),
            ['true true {"n":null}', "true"])

    def test_an_empty_list_that_is_marked_stays_a_list(self):
        self.assertEqual(self.noted('note("%s", json.encode { a = {}, b = json.array(), c = json.array { 1 } })'),
                         ['{"a":{},"b":[],"c":[1]}'])

    def test_values_with_units_become_texts_and_rows_lose_their_columns(self):
        self.assertEqual(self.noted("""
            local rows = sql "primary":query "SELECT 1 AS n"
            note("%s", json.encode { rows = rows, left = time.parse "2026-11-21 03:00" - time.parse "2026-11-21" })"""),
            ['{"left":"3h","rows":[{"n":1}]}'])

    def test_what_is_no_json_fails_at_its_line_and_is_caught_by_try(self):
        self.expect(self.step('\nlocal x = json.decode "[1,"'), code=1,
                    out=[r"error: json\.decode: line 1 column 4: expected a value, the text ends\n +at trial\.lua:4"])
        self.assertEqual(self.noted("""
            for _, text in ipairs { "", "{oops", "[1] 2" } do
              local value, _, code = try(json.decode, text)
              note("%s %s", value, code)
            end
            local loop = {}
            loop.loop = loop
            for _, value in ipairs { 0 / 0, { print = function() end }, loop, { 1, a = 2, [5] = 3 } } do
              local text, _, code = try(json.encode, value)
              note("%s %s", text, code)
            end"""), ["– no json"] * 6 + ['[1] –'])

    def test_a_secret_is_refused_and_no_part_of_it_is_shown(self):
        for value in ("key", "{ key }", "{ a = { b = { key } } }"):
            done = self.step(f'local key = secret.new {{ name = "KEY" }}\nnote(json.encode({value}))')
            self.expect(done, code=5, text=["json.encode: it holds ‹secret:KEY›", "a command's stdin or env"])

    def test_a_name_that_is_not_there_tells_the_nearest_and_where_secrets_come_from(self):
        self.expect(self.step('json.parse "1"'), code=1, out=["there is no 'json.parse' .it has: array, decode, encode, null"])
        self.expect(self.step('json.decod "1"'), code=1, out=["there is no 'json.decod' .did you mean 'json.decode'"])
        self.expect(self.step('http.get("http://x", { headers = { a = secret.env "TOKEN" } })'), code=1,
                    out=["there is no 'secret.env' .secrets that are there are named by the environment"])

    def test_it_computes_while_the_playbook_loads_too(self):
        self.expect(self.play('local given = json.decode "[1, 2]"\nstep("x", function() note("%d", #given) end)'),
                    code=0, out=[r"    2\n"])


if __name__ == "__main__":
    main()
