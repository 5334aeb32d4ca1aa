/*  seats - what each seat of an article's team is asked, and what they hand in; tasks of users. See
 *  family.h */
#include <string.h>

#include "task/article/article.h"
#include "task/asks.h"

static int article_check_terms (const json_t *object, const char *where, err_t *err)
{
    const json_t *terms = json_object_get (object, "terms"), *term;
    size_t i;
    if (terms && !json_is_array (terms))
        return err_set (err, ERR_INPUT, "%s\"terms\" is a list of words that must occur", where);
    json_array_foreach (terms, i, term)
        if (!json_is_string (term) || !*json_string_value (term))
            return err_set (err, ERR_INPUT, "%s\"terms\" is a list of words that must occur",
                            where);
    return 0;
}

/*  The brief of all is made of those of the sections where the task has none. */
int article_adopt (json_t *task, err_t *err)
{
    buf_t all = {0};
    int rc = json_array_size (json_object_get (task, "sections")) == ARTICLE_SECTIONS
                 ? article_check_terms (task, "", err)
                 : err_set (err, ERR_INPUT,
                            "needs \"sections\": three, each with a \"brief\" and the \"terms\" "
                            "that must occur in it");
    for (size_t k = 0; rc == 0 && k < ARTICLE_SECTIONS; k++) {
        json_t *section = json_array_get (json_object_get (task, "sections"), k);
        char where[32];
        snprintf (where, sizeof where, "section %zu: ", k + 1);
        if (!*family_text (section, "brief"))
            rc = err_set (err, ERR_INPUT, "%sneeds a \"brief\"", where);
        else
            rc = article_check_terms (section, where, err);
        json_object_set_new (section, "name", json_string (article_names[k]));
        buf_printf (&all, "%s%s: %s", k ? "\n" : "", article_names[k],
                    family_text (section, "brief"));
    }
    if (rc == 0 && !*family_text (task, "brief"))
        json_object_set_new (task, "brief", json_string (all.data));
    if (rc == 0 && !*family_text (task, "id"))
        rc = err_set (err, ERR_INPUT, "needs an \"id\"");
    buf_free (&all);
    return rc;
}

/*  A writer reads its own brief alone; who writes all, or has another part, reads all. So does
 *  everybody where somebody has typed one brief. */
void article_observe (const json_t *task, const char *role, buf_t *prompt)
{
    const json_t *own = article_section (task, article_number (role));
    asks_brief ("article", role, family_text (own ? own : task, "brief"), prompt);
}

void article_merge (const json_t *task, const char *const *roles, const char *const *texts,
                    size_t n, buf_t *artifact)
{
    (void) task;
    for (size_t k = 0; k <= ARTICLE_SECTIONS; k++)
        for (size_t i = 0; i < n; i++)
            if (article_number (roles[i]) == k)
                buf_printf (artifact, "%s%s", artifact->size ? "\n\n" : "", texts[i]);
}
