/* with: services/agent/versions.c services/agent/shapes.c services/agent/build.c services/bus/ */
/*  Policy versions of an agent: fetched whole or as deltas through a real bus, verified, made
 *  aside. */
#include "../../services/agent/versions.h"

#include <unistd.h>

#include "../../services/bus/actors.h"
#include "base/clock.h"
#include "base/fs.h"
#include "formats/hf.h"
#include "formats/peft.h"
#include "model/delta.h"
#include "model/lora.h"
#include "model_fixture.h"

#define PATIENCE_MS 60000

typedef struct {
    char dir[64], address[96];
    actors_t *actors;
    bus_t *trainer, *agent;
    versions_t *versions;
    model_t *model; /* of the shape */
    char *config;
    size_t n;
    char *bytes; /* of the last version published, bf16 */
} fixture_t;

static bus_t *join (const fixture_t *f, const char *name)
{
    err_t err = {0};
    bus_options_t options = {.address = f->address, .name = name, .numerics = ""};
    bus_t *bus = bus_new (&options, &err);
    assert_non_null (bus);
    assert_int_equal (bus_ready (bus, PATIENCE_MS, &err), 0);
    return bus;
}

static void make_shape (fixture_t *f)
{
    hf_config_t config = {.model = fixture_config (), .bos = -1};
    f->model = fixture_model (&config.model, COMPUTE_BF16);
    f->config = hf_config_json (&config);
    f->n = model_params (f->model);
    f->bytes = calloc (f->n, 2);
    assert_true (f->config && f->bytes);
}

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    err_t err = {0};
    assert_non_null (f);
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-versions-XXXXXX");
    assert_non_null (mkdtemp (f->dir));
    snprintf (f->address, sizeof f->address, "ipc://%s/bus", f->dir);
    f->actors = actors_new (f->address, NULL, &err);
    assert_non_null (f->actors);
    f->trainer = join (f, "trainer");
    f->agent = join (f, "agent");
    assert_int_equal (bus_subscribe (f->agent, "policy/", &err), 0);
    f->versions = versions_new (f->agent, NULL, 4, 2, 1 << 20, &err);
    assert_non_null (f->versions);
    make_shape (f);
    *state = f;
    return 0;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    versions_destroy (&f->versions);
    bus_destroy (&f->trainer);
    bus_destroy (&f->agent);
    actors_destroy (&f->actors);
    model_destroy (&f->model);
    free (f->config);
    free (f->bytes);
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

/*  Waits for the bus's answer to the trainer. */
static void answered (fixture_t *f)
{
    bus_item_t item;
    int64_t deadline = clock_ms () + PATIENCE_MS;
    do
        assert_true (clock_ms () < deadline);
    while (bus_next (f->trainer, &item, 100, NULL) != 1);
    assert_int_equal (item.kind, BUS_OBJECT);
    if (item.code != ERR_NONE)
        fail_msg ("the bus refused: %s", item.text);
}

static hash_t offer (fixture_t *f, const void *data, size_t size)
{
    bus_offer (f->trainer, data, size);
    answered (f);
    return hash_object (data, size);
}

/*  The next version: some weights changed. */
static void change (fixture_t *f, uint64_t number)
{
    for (size_t i = number % 7; i < f->n; i += 31)
        f->bytes[2 * i] = (char) (f->bytes[2 * i] + 3);
}

/*  Uploads and announces a version. delta: NULL, or what changed since `before`. */
static wire_version_t publish (fixture_t *f, uint64_t number, const buf_t *delta, hash_t before)
{
    wire_manifest_t m = {.run = "r",
                         .version = {.policy = "main", .number = number},
                         .dtype = "bf16",
                         .compute = "bf16",
                         .numerics = model_isa (),
                         .size = 2 * f->n};
    hash_t objects[3];
    size_t n = 2;
    objects[0] = m.config = offer (f, f->config, strlen (f->config));
    objects[1] = m.version.hash = offer (f, f->bytes, 2 * f->n);
    if (delta) {
        objects[n++] = m.delta = offer (f, delta->data, delta->size);
        m.delta_size = delta->size;
        m.before = before;
    }
    buf_t bytes = {0};
    wire_manifest_pack (&m, &bytes);
    bus_manifest (f->trainer, "r", 1, "main", bytes.data, bytes.size, objects, n);
    answered (f);
    buf_free (&bytes);
    return m.version;
}

static void take_item (fixture_t *f, const bus_item_t *item)
{
    err_t err = {0};
    if (item->kind == BUS_OBJECT) {
        versions_object (f->versions, item);
    } else if (item->kind == BUS_EVENT) {
        arena_t *arena = arena_new (1 << 20);
        const wire_manifest_t *m = wire_manifest_unpack (arena, item->payload, item->size, &err);
        assert_non_null (m);
        assert_int_equal (versions_manifest (f->versions, m, &err), 0);
        arena_destroy (&arena);
    }
}

/*  Works as the agent's loop does until the version is usable. */
static version_t *usable (fixture_t *f, const wire_version_t *name)
{
    int64_t deadline = clock_ms () + PATIENCE_MS;
    bus_manifests (f->agent);
    while (clock_ms () < deadline) {
        bus_item_t item;
        if (bus_next (f->agent, &item, 20, NULL) == 1)
            take_item (f, &item);
        versions_tidy (f->versions);
        version_t *v = versions_find (f->versions, "r", name);
        if (v)
            return v;
    }
    fail_msg ("version %d is not usable after %d ms", (int) name->number, PATIENCE_MS);
    return NULL;
}

static void expect_weights (const fixture_t *f, const version_t *v)
{
    float *params = calloc (f->n, sizeof *params);
    assert_non_null (params);
    model_get (version_model (v), params);
    for (size_t i = 0; i < f->n; i++)
        if (memcmp ((char *) &params[i] + 2, f->bytes + 2 * i, 2) != 0)
            fail_msg ("weight %zu of version %d is %g, not what was published", i,
                      (int) version_name (v)->number, (double) params[i]);
    free (params);
}

static void encode (const fixture_t *f, const void *before, buf_t *delta)
{
    delta_encode (&(delta_layout_t){f->model, 2}, before, f->bytes, delta);
    assert_false (buf_failed (delta));
}

static void deltas_lead_on_from_the_whole (void **state)
{
    fixture_t *f = *state;
    hash_t none = {{0}};
    wire_version_t last = publish (f, 0, NULL, none);
    expect_weights (f, usable (f, &last));
    for (uint64_t number = 1; number < 5; number++) {
        char *before = malloc (2 * f->n);
        buf_t delta = {.max = SIZE_MAX};
        assert_non_null (before);
        memcpy (before, f->bytes, 2 * f->n);
        change (f, number);
        encode (f, before, &delta);
        assert_true (delta.size < f->n);
        last = publish (f, number, &delta, last.hash);
        expect_weights (f, usable (f, &last));
        assert_int_equal (versions_status (f->versions).deltas, number);
        assert_true (versions_status (f->versions).held <= 3);
        buf_free (&delta);
        free (before);
    }
}

/*  Both a version that was missed and a delta that leads elsewhere: the whole is fetched. */
static void the_whole_when_a_delta_does_not_help (void **state)
{
    fixture_t *f = *state;
    buf_t delta = {.max = SIZE_MAX};
    char *before = malloc (2 * f->n);
    assert_non_null (before);
    wire_version_t first = publish (f, 0, NULL, (hash_t){{0}});
    usable (f, &first);
    memcpy (before, f->bytes, 2 * f->n);
    change (f, 1);
    encode (f, before, &delta);
    wire_version_t missed = publish (f, 7, &delta, hash_of ("unknown", 7));
    expect_weights (f, usable (f, &missed));
    assert_int_equal (versions_status (f->versions).deltas, 0);

    change (f, 2); /* the delta is still that of the last version */
    wire_version_t wrong = publish (f, 8, &delta, missed.hash);
    expect_weights (f, usable (f, &wrong));
    assert_int_equal (versions_status (f->versions).deltas, 0);

    buf_clear (&delta);
    buf_text (&delta, "nonsense");
    change (f, 3);
    wire_version_t damaged = publish (f, 9, &delta, wrong.hash);
    expect_weights (f, usable (f, &damaged));
    buf_free (&delta);
    free (before);
}

static void a_held_version_stays (void **state)
{
    fixture_t *f = *state;
    wire_version_t first = publish (f, 0, NULL, (hash_t){{0}}), last = first;
    version_t *v = usable (f, &first);
    version_hold (v);
    for (uint64_t number = 1; number < 5; number++) {
        change (f, number);
        last = publish (f, number, NULL, (hash_t){{0}});
        usable (f, &last);
    }
    assert_ptr_equal (versions_find (f->versions, "r", &first), v);
    assert_int_equal (versions_status (f->versions).held, 3);
    version_release (v);
    versions_tidy (f->versions);
    assert_null (versions_find (f->versions, "r", &first));
    assert_int_equal (versions_status (f->versions).held, 2);
}

/*  One that is gone leaves its memory to the next, which is made in it; no more than one does. */
static void versions_are_built_in_what_is_there (void **state)
{
    fixture_t *f = *state;
    wire_version_t last = publish (f, 0, NULL, (hash_t){{0}});
    version_t *v = usable (f, &last);
    size_t bytes = versions_status (f->versions).bytes, each = model_bytes (version_model (v));
    version_hold (v);
    for (uint64_t number = 1; number < 7; number++) {
        change (f, number);
        last = publish (f, number, NULL, (hash_t){{0}});
        expect_weights (f, usable (f, &last));
        if (number == 4) {
            version_release (v);
            versions_tidy (f->versions);
            assert_int_equal (versions_status (f->versions).held, 2);
            assert_int_equal (versions_status (f->versions).bytes, bytes + 2 * each);
        }
    }
    versions_tidy (f->versions);
    assert_int_equal (versions_status (f->versions).held, 2);
    assert_true (versions_status (f->versions).bytes <= bytes + 2 * each);
}

/*  Works until a version that cannot be made was announced and is gone. */
static void expect_dropped (fixture_t *f, const wire_version_t *bad)
{
    int64_t deadline = clock_ms () + PATIENCE_MS;
    bool announced = false;
    bus_manifests (f->agent);
    while (!announced || versions_expected (f->versions, "r", bad)) {
        bus_item_t item;
        assert_true (clock_ms () < deadline);
        if (bus_next (f->agent, &item, 20, NULL) == 1)
            take_item (f, &item);
        announced = announced || versions_expected (f->versions, "r", bad);
        versions_tidy (f->versions);
    }
    assert_null (versions_find (f->versions, "r", bad));
}

static void a_wrong_size_is_dropped (void **state)
{
    fixture_t *f = *state;
    f->n -= 1;
    wire_version_t bad = publish (f, 0, NULL, (hash_t){{0}});
    f->n += 1;
    expect_dropped (f, &bad);
    assert_int_equal (versions_status (f->versions).held, 0);
}

/*  ---- adapters ---- */

#define RANK 3

typedef struct {
    model_t *base, *model; /* as they should come out */
    char *config;
    float *params;
    size_t n;
} adapters_t;

static adapters_t make_adapters (const fixture_t *f)
{
    err_t err = {0};
    lora_config_t lora = {.rank = RANK, .alpha = 6, .targets = LORA_ALL_LINEAR};
    adapters_t a = {.base = model_new (model_config (f->model), COMPUTE_BF16, &err)};
    float *params = calloc (f->n, sizeof *params);
    model_init_params (a.base, 3, params);
    model_set (a.base, params, NULL);
    model_get (a.base, params);
    for (size_t i = 0; i < f->n; i++)
        memcpy (f->bytes + 2 * i, (char *) &params[i] + 2, 2);
    free (params);
    a.model = lora_new (a.base, &lora, &err);
    assert_non_null (a.model);
    a.config = peft_json (&lora, "base");
    a.n = model_params (a.model);
    a.params = calloc (a.n, sizeof *a.params);
    return a;
}

static void free_adapters (adapters_t *a)
{
    model_destroy (&a->model);
    model_destroy (&a->base);
    free (a->config);
    free (a->params);
}

/*  The next version of a policy: other adapters, the same base. */
static wire_version_t publish_adapters (fixture_t *f, adapters_t *a, const char *policy,
                                        uint64_t number, size_t base_bytes)
{
    fixture_fill (a->params, a->n, 0.2, number + 100 * (uint64_t) policy[0]);
    wire_manifest_t m = {.run = "r",
                         .version = {.policy = policy, .number = number},
                         .dtype = "f32",
                         .compute = "bf16",
                         .numerics = model_isa (),
                         .size = a->n * sizeof (float),
                         .base_size = base_bytes};
    hash_t objects[4];
    objects[0] = m.config = offer (f, f->config, strlen (f->config));
    objects[1] = m.version.hash = offer (f, a->params, a->n * sizeof (float));
    objects[2] = m.base = offer (f, f->bytes, base_bytes);
    objects[3] = m.adapter = offer (f, a->config, strlen (a->config));
    buf_t bytes = {0};
    wire_manifest_pack (&m, &bytes);
    bus_manifest (f->trainer, "r", 1, policy, bytes.data, bytes.size, objects, 4);
    answered (f);
    buf_free (&bytes);
    return m.version;
}

static void expect_adapters (const adapters_t *a, const version_t *v)
{
    static const int32_t ids[] = {3, 1, 4, 1, 5, 9, 2, 6};
    enum { N = sizeof ids / sizeof *ids };
    err_t err = {0};
    size_t vocab = model_config (a->model)->vocab;
    float *wanted = calloc (2 * N * vocab, sizeof *wanted), *got = wanted + N * vocab;
    model_set (a->model, a->params, NULL);
    assert_int_equal (model_logits (a->model, ids, N, wanted, NULL, &err), 0);
    assert_int_equal (model_logits (version_model (v), ids, N, got, NULL, &err), 0);
    fixture_same ("logits", got, wanted, N * vocab);
    free (wanted);
}

/*  Two policies, several versions each: the base travels once, is kept once, and goes with the
 *  last. */
static void adapters_share_a_base (void **state)
{
    fixture_t *f = *state;
    adapters_t a = make_adapters (f);
    uint64_t texts = strlen (f->config) + strlen (a.config), size = a.n * sizeof (float);
    version_t *v[2];
    for (uint64_t number = 0; number < 4; number++)
        for (size_t p = 0; p < 2; p++) {
            const char *policy = p ? "main" : "aux";
            wire_version_t name = publish_adapters (f, &a, policy, number, 2 * f->n);
            v[p] = usable (f, &name);
            expect_adapters (&a, v[p]);
            versions_status_t s = versions_status (f->versions);
            assert_int_equal (s.held, number == 0 ? 1 + p : number == 1 ? 3 + p : 4);
            assert_int_equal (s.expected, 0);
        }
    assert_ptr_equal (version_sampler (v[0]), version_sampler (v[1]));
    uint64_t fetched = bus_counters (f->agent).bytes_fetched, most = 2 * f->n + 8 * (size + texts);
    if (fetched > most || fetched < 2 * f->n + 8 * size)
        fail_msg ("%d bytes were fetched for a base and 8 versions, at most %d", (int) fetched,
                  (int) most);
    hash_t none = {{0}};
    wire_version_t last = {0};
    for (uint64_t number = 10; number < 13; number++) { /* versions that stand by themselves */
        change (f, number);
        last = publish (f, number, NULL, none);
        expect_weights (f, usable (f, &last));
    }
    free_adapters (&a);
}

static void damaged_adapters_are_dropped (void **state)
{
    fixture_t *f = *state;
    adapters_t a = make_adapters (f);
    wire_version_t bad = publish_adapters (f, &a, "aux", 0, 2 * f->n - 2); /* a base cut short */
    expect_dropped (f, &bad);
    a.n -= 1;
    bad = publish_adapters (f, &a, "aux", 1, 2 * f->n);
    a.n += 1;
    expect_dropped (f, &bad);
    char *config = a.config;
    a.config = strdup ("{\"peft_type\": \"LOHA\"}");
    bad = publish_adapters (f, &a, "aux", 2, 2 * f->n);
    expect_dropped (f, &bad);
    free (a.config);
    a.config = config;
    versions_tidy (f->versions); /* the base, too, is gone */
    assert_int_equal (versions_status (f->versions).bytes, 0);
    wire_version_t good = publish_adapters (f, &a, "aux", 3, 2 * f->n);
    expect_adapters (&a, usable (f, &good));
    free_adapters (&a);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (deltas_lead_on_from_the_whole, setup, teardown),
        cmocka_unit_test_setup_teardown (the_whole_when_a_delta_does_not_help, setup, teardown),
        cmocka_unit_test_setup_teardown (a_held_version_stays, setup, teardown),
        cmocka_unit_test_setup_teardown (versions_are_built_in_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown (a_wrong_size_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown (adapters_share_a_base, setup, teardown),
        cmocka_unit_test_setup_teardown (damaged_adapters_are_dropped, setup, teardown)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
