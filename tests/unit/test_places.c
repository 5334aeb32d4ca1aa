/* with: services/monitor/places.c */
/*  Which lines of a long file stand for all of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../services/monitor/places.h"

static void of_many_places_every_kth_stays (void **state)
{
    (void) state;
    for (size_t n = 0; n < 9 * PLACES_MAX; n = n < 70 ? n + 1 : 2 * n - 7) {
        places_t places = {0};
        for (size_t i = 0; i < n; i++)
            places_add (&places, &(place_t){.at = 10 * i, .size = 9, .step = (int64_t) i});
        assert_true (places.n <= PLACES_MAX && (n < PLACES_MAX || places.n >= PLACES_MAX / 2));
        assert_true (places.n * places.every >= n && (n == 0 || places.seen == n));
        for (size_t i = 0; i < places.n; i++)
            assert_true (places.place[i].at == 10 * i * places.every);
        assert_int_equal (places_find (&places, -5), 0);
        assert_int_equal (places_find (&places, (int64_t) n), places.n);
        for (size_t i = 0; i < places.n; i += 37) {
            assert_int_equal (places_find (&places, places.place[i].step), i);
            assert_int_equal (places_find (&places, places.place[i].step + 1), i + 1);
        }
        places_free (&places);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (of_many_places_every_kth_stays),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
