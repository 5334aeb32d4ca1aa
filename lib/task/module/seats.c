/*  seats - what each seat of a module's team is asked, and what they hand in. See family.h */
#include <string.h>

#include "task/asks.h"
#include "task/module/module.h"
#include "team/state.h"

/*  A coder reads its own brief alone. Who writes all of it, or plans it, reads all; so does
 *  everybody where somebody has typed one brief. */
void module_observe (const json_t *task, const char *role, buf_t *prompt)
{
    const json_t *own = module_function (task, module_number (role));
    asks_brief ("module", role, family_text (own ? own : task, "brief"), prompt);
}

/*  The file that the team hands in: people and scorers of their own read it. What is run the
 *  sandbox finds in the texts themselves. */
void module_merge (const json_t *task, const char *const *roles, const char *const *texts, size_t n,
                   buf_t *artifact)
{
    (void) roles;
    for (size_t i = 0; i < n; i++)
        buf_printf (artifact, "%s\n", texts[i]);
    buf_printf (artifact, "%s\n", family_text (task, "given"));
}

/*  Whether the artifact is what the seats wrote: who puts an episode to the scorer by hand may have
 *  another one in it, and then that is what the team hands in. */
static bool module_is_merged (const json_t *state)
{
    const char *slots[EPISODE_ROLES_MAX], *texts[EPISODE_ROLES_MAX];
    size_t n = state_slots (state, slots, texts, EPISODE_ROLES_MAX);
    buf_t whole = {.max = SIZE_MAX};
    if (json_object_size (state_artifacts (state)) > 0)
        module_merge (json_object_get (state, "task"), slots, texts, n, &whole);
    bool same = !buf_failed (&whole) &&
                strcmp (whole.data ? whole.data : "", family_text (state, "artifact")) == 0;
    buf_free (&whole);
    return same;
}

const char *module_text (const json_t *state, size_t k, const char **by)
{
    const json_t *slots = json_object_get (state, "slots"), *slot;
    size_t i;
    *by = "";
    if (!module_is_merged (state))
        return family_text (state, "artifact");
    json_array_foreach (slots, i, slot)
        if (strcmp (json_string_value (slot), module_names[k]) == 0 ||
            module_number (json_string_value (slot)) == MODULE_FUNCTIONS)
            *by = json_string_value (slot);
    return state_slot_text (state, *by);
}
