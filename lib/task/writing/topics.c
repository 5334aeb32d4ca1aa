/*  topics - what to write plain prose about. See writing.h
 *
 *  A topic is asked for in one sentence, and has two words that both parts have to take up. Short
 *  and everyday: a small model has something to say, and what is learnt is how to say it.
 */
#include <stdio.h>

#include "task/writing/writing.h"

static const struct {
    const char *brief, *terms[2];
} writing_briefs[] = {
    {"Explain how bees make honey.", {"bees", "honey"}},
    {"Explain how plants make food from sunlight.", {"plants", "sunlight"}},
    {"Explain how rain forms in clouds.", {"rain", "clouds"}},
    {"Explain how a volcano erupts.", {"volcano", "magma"}},
    {"Explain how the moon moves the tides.", {"moon", "tides"}},
    {"Explain how bread is baked.", {"bread", "dough"}},
    {"Explain how cheese is made from milk.", {"cheese", "milk"}},
    {"Explain how glass is made from sand.", {"glass", "sand"}},
    {"Explain how paper is made from wood.", {"paper", "wood"}},
    {"Explain how a bicycle stays upright.", {"bicycle", "wheels"}},
    {"Explain how a sailing boat uses the wind.", {"boat", "wind"}},
    {"Explain how a solar panel makes electricity.", {"solar", "electricity"}},
    {"Explain how a wind turbine makes electricity.", {"turbine", "electricity"}},
    {"Explain how a camera takes a picture.", {"camera", "light"}},
    {"Explain how a refrigerator keeps food cold.", {"refrigerator", "food"}},
    {"Explain how a compass shows the north.", {"compass", "north"}},
    {"Explain how birds find their way in autumn.", {"birds", "autumn"}},
    {"Explain how bats find insects in the dark.", {"bats", "insects"}},
    {"Explain how spiders build their webs.", {"spiders", "webs"}},
    {"Explain how fish breathe under water.", {"fish", "water"}},
    {"Explain how a caterpillar becomes a butterfly.", {"caterpillar", "butterfly"}},
    {"Explain how camels live in the desert.", {"camels", "desert"}},
    {"Explain how penguins live in the cold.", {"penguins", "cold"}},
    {"Explain how ants work together in a colony.", {"ants", "colony"}},
    {"Explain how wolves hunt in a pack.", {"wolves", "pack"}},
    {"Explain how the heart moves blood through the body.", {"heart", "blood"}},
    {"Explain how the lungs bring air into the body.", {"lungs", "air"}},
    {"Explain how the eye sees light.", {"eye", "light"}},
    {"Explain how the ear hears sound.", {"ear", "sound"}},
    {"Explain how vaccines protect people.", {"vaccines", "people"}},
    {"Explain why leaves change colour in autumn.", {"leaves", "autumn"}},
    {"Explain why the sky is blue.", {"sky", "light"}},
    {"Explain why the sea is salty.", {"sea", "salt"}},
    {"Explain why ice floats on water.", {"ice", "water"}},
    {"Explain why the seasons change.", {"seasons", "sun"}},
    {"Explain why sleep is important.", {"sleep", "body"}},
    {"Explain why people need to drink water.", {"people", "water"}},
    {"Explain why exercise is good for the heart.", {"exercise", "heart"}},
    {"Explain why reading is good for children.", {"reading", "children"}},
    {"Explain why trees are important in a city.", {"trees", "city"}},
    {"Explain why forests are important for the climate.", {"forests", "climate"}},
    {"Explain why coral reefs are in danger.", {"coral", "reefs"}},
    {"Explain why bees are important for farmers.", {"bees", "farmers"}},
    {"Explain why people recycle plastic.", {"people", "plastic"}},
    {"Explain why people save energy at home.", {"energy", "home"}},
    {"Explain why teachers are important for a society.", {"teachers", "society"}},
    {"Explain why people learn a second language.", {"language", "people"}},
    {"Explain why music makes people happy.", {"music", "people"}},
    {"Explain why dogs are loyal to people.", {"dogs", "people"}},
    {"Explain why cats sleep so much.", {"cats", "sleep"}},
    {"Describe the history of the bicycle.", {"bicycle", "history"}},
    {"Describe the history of the railway.", {"railway", "trains"}},
    {"Describe the history of the printing press.", {"printing", "books"}},
    {"Describe the history of chocolate.", {"chocolate", "cocoa"}},
    {"Describe the history of tea.", {"tea", "china"}},
    {"Describe the history of coffee.", {"coffee", "beans"}},
    {"Describe the history of the telephone.", {"telephone", "people"}},
    {"Describe the history of the olympic games.", {"olympic", "games"}},
    {"Describe the history of the calendar.", {"calendar", "days"}},
    {"Describe the history of money.", {"money", "coins"}},
    {"Describe the history of the lighthouse.", {"lighthouse", "ships"}},
    {"Describe the history of the windmill.", {"windmill", "wind"}},
    {"Describe the life of a farmer in spring.", {"farmer", "spring"}},
    {"Describe the life of a fisherman at sea.", {"fisherman", "sea"}},
    {"Describe the work of a doctor in a hospital.", {"doctor", "hospital"}},
    {"Describe the work of a firefighter in a city.", {"firefighter", "city"}},
    {"Describe the work of a baker at night.", {"baker", "bread"}},
    {"Describe the work of a librarian.", {"librarian", "books"}},
    {"Describe the work of an astronaut in space.", {"astronaut", "space"}},
    {"Describe the work of a gardener in summer.", {"gardener", "plants"}},
    {"Describe a market in a small town.", {"market", "town"}},
    {"Describe a harbour on a stormy day.", {"harbour", "storm"}},
    {"Describe a forest in winter.", {"forest", "winter"}},
    {"Describe a village in the mountains.", {"village", "mountains"}},
    {"Describe a beach in summer.", {"beach", "summer"}},
    {"Describe a train station in the morning.", {"station", "morning"}},
    {"Describe a river and the animals that live in it.", {"river", "animals"}},
    {"Describe the desert and the plants that live in it.", {"desert", "plants"}},
    {"Describe the deep ocean and the animals that live there.", {"ocean", "animals"}},
    {"Describe the planet Mars.", {"mars", "planet"}},
    {"Describe the planet Saturn and its rings.", {"saturn", "rings"}},
    {"Describe the sun and its light.", {"sun", "light"}},
    {"Describe the moon and its craters.", {"moon", "craters"}},
    {"Describe the Amazon river and its forest.", {"amazon", "forest"}},
    {"Describe the pyramids of Egypt.", {"pyramids", "egypt"}},
    {"Describe the Great Wall of China.", {"wall", "china"}},
    {"Describe the city of Venice and its canals.", {"venice", "canals"}},
    {"Describe the advantages of public transport.", {"transport", "city"}},
    {"Describe the advantages of working in a team.", {"team", "work"}},
    {"Describe the advantages of a vegetable garden.", {"vegetables", "garden"}},
    {"Describe the advantages of electric cars.", {"electric", "cars"}},
    {"Describe the advantages of living in the country.", {"country", "people"}},
    {"Describe the dangers of a thunderstorm.", {"thunderstorm", "lightning"}},
    {"Describe the dangers of an earthquake.", {"earthquake", "buildings"}},
    {"Describe the dangers of smoking.", {"smoking", "lungs"}},
    {"Describe the dangers of plastic in the ocean.", {"plastic", "ocean"}},
    {"Describe how a family prepares for a journey.", {"family", "journey"}},
    {"Describe how a town celebrates a festival.", {"town", "festival"}},
    {"Describe how children learn to read.", {"children", "read"}},
    {"Describe how a garden changes in spring.", {"garden", "spring"}},
};

size_t writing_topics (void)
{
    return sizeof writing_briefs / sizeof *writing_briefs;
}

json_t *writing_topic (size_t i)
{
    char id[32];
    snprintf (id, sizeof id, "prose/%zu", i);
    return json_pack ("{s:s, s:s, s:s, s:[s,s]}", "id", id, "family", "writing", "brief",
                      writing_briefs[i].brief, "terms", writing_briefs[i].terms[0],
                      writing_briefs[i].terms[1]);
}
