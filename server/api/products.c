/* products.c - GET /products: what is published, in one line a product. Tests: test/unit/api_test.c. */
#include "call.h"
#include "shapes.h"

static json_t *adopted_chips(const struct model_product *product)
{
    json_t *chips = json_array();
    for (int chip = 1; chip <= MOLT_CHIP_MAX; chip++) {
        if ((product->adopt_chips >> chip & 1) != 0)
            json_array_append_new(chips, json_string(molt_chip_name((enum molt_chip)chip)));
    }
    return chips;
}

static json_t *product_json(const struct store_rules *rules, const struct model_product *product)
{
    json_int_t releases = 0;
    const struct model_release *newest = NULL;
    for (uint32_t i = 0; i < rules->release_count; i++) {
        const struct model_release *release = &rules->releases[i];
        if (release->product_id != product->id) continue;
        releases++;
        if (!release->yanked && (newest == NULL || release->code > newest->code)) newest = release;
    }
    return json_pack("{s:s, s:o, s:I, s:o, s:o}", "name", product->name, "adopts", adopted_chips(product),
                     "releases", releases, "newest_version",
                     newest != NULL ? shape_text(newest->version) : json_null(), "newest_code",
                     newest != NULL ? json_integer(newest->code) : json_null());
}

void api_products_list(struct api_call *call)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    json_t *products = json_array();
    for (uint32_t i = 0; i < rules.product_count; i++)
        json_array_append_new(products, product_json(&rules, &rules.products[i]));
    store_free_rules(&rules);
    api_reply(call, 200, json_pack("{s:o}", "products", products));
}
