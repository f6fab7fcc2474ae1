// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine files: the published one holds together, every message of every bad
 * fixture in full, sampling from quantiles to the nanosecond, and random
 * mutations of a good file (for the sanitizers).
 */
#include <errno.h>
#include <time.h>

#include "td/find.h"
#include "td/ini.h"
#include "td/machine.h"
#include "tests/td_fixtures.h"

static const char *const dirs[] = {"bench/machines", FIXTURES "/machine/good", NULL};

static struct machine *load(const char *name)
{
	struct td_error err = {""};
	struct machine *m;

	CHECK_EQ(machine_load(name, dirs, &m, &err), 0);
	CHECK_STR(err.text, "");
	if (!m) {
		printf("cannot go on without %s: %s\n", name, err.text);
		exit(1);
	}
	return m;
}

static void check_bad(const char *path)
{
	struct td_error err = {""};
	char want[TD_ERROR_MAX];
	struct machine *m;

	if (!CHECK(wanted_message(path, want, sizeof(want))))
		return;
	CHECK_EQ(machine_load(path, dirs, &m, &err), -EINVAL);
	CHECK_STR(err.text, want);
	CHECK(!m);
	machine_free(m);
}

static void bad_fixtures(void)
{
	CHECK(for_each_fixture(FIXTURES "/machine/bad", check_bad) >= 47);
}

/* Machines that can be simulated: their shape, and costs from published.mach but for one. */
static void simulated(void)
{
	static const struct {
		const char *name;
		unsigned int cpus;
	} want[] = { { "spr-2s", 224 }, { "gnr-2s", 512 }, { "edge", 16 } };
	struct machine *base = load("published"), *m;

	CHECK(!base->has_shape);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		m = load(want[i].name);
		CHECK(m->has_shape);
		CHECK_EQ(machine_cpus(m), want[i].cpus);
		CHECK_EQ(m->costs[COST_pamt_add].ns, base->costs[COST_pamt_add].ns);
		CHECK(m->costs[COST_fault_base].nr_quantiles > 0);
		CHECK(m->lines[LINE_local].ns > 10000 && m->lines[LINE_local].source[0]);
		CHECK(m->hash != base->hash);
		machine_free(m);
	}
	machine_free(base);
}

static void lookup(void)
{
	struct td_error err;
	struct machine *m;
	char **names;
	size_t nr;

	/* `this` is there where somebody has calibrated. */
	CHECK_EQ(machine_load("publishd", dirs, &m, &err), -ENOENT);
	CHECK(strstr(err.text, "unknown machine \"publishd\"; valid: edge, fixture, gnr-2s, published, "
			       "spr-2s") == err.text);
	CHECK_EQ(machine_load("bench/machines/none.mach", dirs, &m, &err), -ENOENT);
	CHECK_STR(err.text, "bench/machines/none.mach: No such file or directory");
	CHECK_EQ(machine_list(dirs, &names, &nr), 0);
	CHECK(nr == 5 || nr == 6);
	CHECK_STR(names[0], "edge");
	CHECK_STR(names[1], "fixture");
	CHECK_STR(names[3], "published");
	td_free_names(names, nr);
}

/* What the file's comment promises, and what was published. */
static void published(void)
{
	struct machine *m = load("published");
	uint64_t fault, flip;

	CHECK_STR(m->name, "published");
	fault = m->costs[COST_fault_base].ns + m->costs[COST_page_alloc].ns +
		m->costs[COST_page_aug].ns;
	CHECK_EQ(fault, 8000);
	flip = 2 * m->costs[COST_convert_base].ns + m->costs[COST_range_block].ns +
	       m->costs[COST_track].ns + m->costs[COST_page_remove].ns + m->costs[COST_wbinvd].ns +
	       fault + m->costs[COST_accept].ns;
	CHECK_EQ(flip, 31000);
	CHECK_EQ(machine_cost(m, COST_pamt_add, 0), 2000);
	CHECK_EQ(machine_cost(m, COST_pamt_add, UINT64_MAX), 17999);
	CHECK_EQ(machine_cost_mean(m, COST_pamt_add), 4000);
	CHECK_EQ(machine_cost(m, COST_pamt_remove, 0), 1000);
	CHECK_EQ(machine_cost(m, COST_pamt_remove, UINT64_MAX), 10999);
	CHECK_EQ(machine_cost_mean(m, COST_pamt_remove), 2011);
	for (int i = 0; i < COST_NR; i++) {
		const struct machine_cost *c = &m->costs[i];

		CHECK(c->low <= c->ns && c->ns <= c->high && c->low < c->high);
		CHECK(strlen(c->source) > 10);
		/* a figure is somebody's, or says that it is not */
		CHECK(strstr(c->source, "derived:") || strstr(c->source, " 20"));
		CHECK(*machine_cost_name(i) && *machine_cost_covers(i));
	}
	machine_free(m);
}

/* 0:2us,50:3us,100:8us */
static void quantiles(void)
{
	struct machine *m = load("fixture");
	uint64_t last = 0, sum = 0, rnd = 7;

	CHECK_STR(m->costs[COST_pamt_add].source, "S; with # signs, and = too");
	CHECK_EQ(machine_cost(m, COST_pamt_add, 0), 2000);
	CHECK_EQ(machine_cost(m, COST_pamt_add, 1ULL << 62), 2500); /* 25% */
	CHECK_EQ(machine_cost(m, COST_pamt_add, 1ULL << 63), 3000); /* 50% */
	CHECK_EQ(machine_cost(m, COST_pamt_add, (1ULL << 63) - 1), 2999);
	CHECK_EQ(machine_cost(m, COST_pamt_add, 3ULL << 62), 5500); /* 75% */
	CHECK_EQ(machine_cost(m, COST_pamt_add, 7ULL << 61), 6750); /* 87.5% */
	CHECK_EQ(machine_cost(m, COST_pamt_add, UINT64_MAX), 7999);
	CHECK_EQ(machine_cost(m, COST_track, UINT64_MAX), 1000); /* no quantiles */
	CHECK_EQ(machine_cost_mean(m, COST_pamt_add), 4000);
	CHECK_EQ(machine_cost_mean(m, COST_track), 1000);
	for (uint64_t i = 0; i < 65536; i++) {
		uint64_t ns = machine_cost(m, COST_pamt_add, i << 48);

		CHECK(ns >= last);
		last = ns;
	}
	for (int i = 0; i < 100000; i++)
		sum += machine_cost(m, COST_pamt_add, test_random(&rnd));
	CHECK(sum / 100000 > 3980 && sum / 100000 < 4020);
	machine_free(m);
}

/* The hash is of the costs alone. */
static void hashes(void)
{
	static const char path[] = FIXTURES "/machine/good/fixture.mach";
	struct machine *m = load("fixture"), *other;
	struct td_error err;
	char *text, *at;
	size_t len;

	CHECK_EQ(machine_hash(m), 0xdf7895368aa80f91);
	CHECK_EQ(ini_read_file(path, &text, &len, &err), 0);
	*strstr(text, "title = T") = ';';
	CHECK_EQ(machine_parse("x.mach", text, len, &other, &err), -EINVAL);
	CHECK_STR(err.text, "x.mach:2: [machine] has no \"title\", which it needs");
	*strstr(text, ";itle = T") = 't';
	at = strstr(text, "note = N") + 7;
	*at = 'M';
	CHECK_EQ(machine_parse("x.mach", text, len, &other, &err), 0);
	CHECK_EQ(machine_hash(other), machine_hash(m));
	machine_free(other);
	at = strstr(text, "50:3us") + 3;
	*at = '4'; /* the mean is 4500 ns then */
	CHECK_EQ(machine_parse("x.mach", text, len, &other, &err), -EINVAL);
	*at = '3';
	at = strstr(text, "range 2us") + 6;
	*at = '1';
	CHECK_EQ(machine_parse("x.mach", text, len, &other, &err), 0);
	CHECK(machine_hash(other) != machine_hash(m));
	machine_free(other);
	machine_free(m);
	free(text);
}

/* Nothing that the module or a fault takes can be 0; what the kernel does beside them can. */
static void zero_costs(void)
{
	char *text, *at, key[64];
	struct td_error err;
	struct machine *m;
	size_t len;

	CHECK_EQ(ini_read_file(FIXTURES "/machine/good/fixture.mach", &text, &len, &err), 0);
	for (int i = COST_pamt_remove; i < COST_NR; i++) {
		snprintf(key, sizeof(key), "\n%s = 1us", machine_cost_name((enum cost)i));
		at = strstr(text, key) + strlen(key) - 3;
		*at = '0';
		CHECK_EQ(machine_parse("x.mach", text, len, &m, &err), i < COST_page_alloc ? -EINVAL : 0);
		machine_free(m);
		*at = '1';
	}
	free(text);
}

static void fuzz(void)
{
	clock_t end = clock() + CLOCKS_PER_SEC;
	unsigned int parsed = 0, tried = 0;
	uint64_t rnd = 20260209, sum = 0;
	struct td_error err;
	char *text, *mutant;
	size_t len;

	if (!CHECK(!ini_read_file("bench/machines/published.mach", &text, &len, &err)))
		return;
	mutant = malloc(len + 64);
	for (; tried < 20000 && clock() < end; tried++) {
		size_t mutant_len = mutate(text, len, mutant, &rnd);
		char *exact = malloc(mutant_len);
		struct machine *m;

		memcpy(exact, mutant, mutant_len);
		if (machine_parse("mutant.mach", exact, mutant_len, &m, &err)) {
			CHECK(!strncmp(err.text, "mutant.mach:", 12));
			CHECK_EQ(strcspn(err.text, "\n\r\t\033"), strlen(err.text));
		} else {
			for (int i = 0; i < COST_NR; i++)
				sum += machine_cost(m, i, test_random(&rnd));
			parsed++;
		}
		machine_free(m);
		free(exact);
	}
	CHECK(sum);
	CHECK(parsed > tried / 100 && parsed < tried);
	free(mutant);
	free(text);
}

int main(void)
{
	test_begin("machine");
	go_to_root(__FILE__);
	TEST(bad_fixtures);
	TEST(simulated);
	TEST(lookup);
	TEST(published);
	TEST(quantiles);
	TEST(hashes);
	TEST(zero_costs);
	TEST(fuzz);
	return test_end();
}
