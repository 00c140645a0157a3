/* adyen_page.c - the page of ours where a session of Adyen's is paid, with its drop-in. */
#include <stdio.h>
#include <string.h>

#include "lib/payment/psp/adyen.h"

#define DROPIN_VERSION "6.31.1"
#define TEST_CDN "https://checkoutshopper-test.cdn.adyen.com"
#define LIVE_CDN "https://checkoutshopper-live.cdn.adyen.com"

/* Data come from the element's attributes. Whatever the drop-in ends with goes to us; a page that
 * was left and opened again begins anew. */
static const char dropin_script[] =
    "(function () {\n"
    "  var box = document.getElementById('adyen'), said = document.getElementById('said');\n"
    "  var data = box.dataset;\n"
    "  function leave(result) {\n"
    "    location.replace(data.back + (result && result.sessionResult ?\n"
    "      '?sessionResult=' + encodeURIComponent(result.sessionResult) : ''));\n"
    "  }\n"
    "  function fail() { said.textContent = 'The payment form could not be opened. "
    "Please reload the page.'; }\n"
    "  if (!window.AdyenWeb) { fail(); return; }\n"
    "  AdyenWeb.AdyenCheckout({\n"
    "    environment: data.environment, clientKey: data.clientKey,\n"
    "    countryCode: data.country, analytics: { enabled: false },\n"
    "    session: { id: data.session, sessionData: data.sessionData },\n"
    "    onPaymentCompleted: leave, onPaymentFailed: leave,\n"
    "    onError: function (error) {\n"
    "      if (!error || error.name !== 'CANCEL') said.textContent = 'That did not work. "
    "Please try again.';\n"
    "    }\n"
    "  }).then(function (checkout) { new AdyenWeb.Dropin(checkout).mount(box); }, fail);\n"
    "})();";

/* Adyen's host gives the drop-in; whoever stands in for Adyen gives one, too. */
static void add_dropin(const psp_account_t *account, bool live, psp_page_t *page)
{
    buf_t sdk = {0};
    const char *host = strstr(account->base_url, "://") + 3;
    const size_t origin = (size_t)(host - account->base_url) + strcspn(host, "/");
    const bool adyens = strstr(account->base_url, ".adyen.com") ||
                        strstr(account->base_url, ADYEN_LIVE_API_SUFFIX) ||
                        origin >= sizeof page->script_from;
    buf_printf(&sdk, "%s/checkoutshopper/sdk/" DROPIN_VERSION "/adyen",
               !adyens ? account->base_url
               : live  ? LIVE_CDN
                       : TEST_CDN);
    snprintf(page->script_from, sizeof page->script_from, "%.*s",
             adyens ? (int)sizeof page->script_from : (int)origin,
             adyens ? "https://*.adyen.com" : account->base_url);
    buf_add_text(&page->body, "<link rel=\"stylesheet\" href=\"");
    psp_page_add_escaped(&page->body, sdk.data);
    buf_add_text(&page->body, ".css\">\n<script src=\"");
    psp_page_add_escaped(&page->body, sdk.data);
    buf_add_text(&page->body, ".js\"></script>\n");
    buf_free(&sdk);
}

void adyen_page(const psp_account_t *account, const psp_checkout_t *checkout, const char *page_data,
                psp_page_t *page)
{
    const bool live = strncmp(account->key_id, "live_", 5) == 0;
    const size_t id_size = strcspn(page_data, " ");
    char id[PSP_REF_SIZE], country[3];
    buf_t back = {0}, *html = &page->body;
    str_copy((str_t){page_data, (uint32_t)id_size}, id, sizeof id);
    adyen_add_return_url(checkout, &back);
    buf_add_text(html, "<h1>Payment</h1>\n<div id=\"adyen\"");
    psp_page_add_attribute(html, "data-session", id);
    psp_page_add_attribute(html, "data-session-data",
                           page_data + id_size + (page_data[id_size] == ' '));
    psp_page_add_attribute(html, "data-client-key", account->key_id);
    psp_page_add_attribute(html, "data-environment", live ? "live" : "test");
    psp_page_add_attribute(html, "data-country", adyen_country_of(checkout->currency, country));
    psp_page_add_attribute(html, "data-back", back.data);
    buf_add_text(html, "></div>\n<p id=\"said\" role=\"status\"></p>\n"
                       "<noscript>Paying here needs JavaScript.</noscript>\n");
    add_dropin(account, live, page);
    snprintf(page->script, sizeof page->script, "%s", dropin_script);
    /* Banks of all the world, for methods that send a form there. */
    snprintf(page->submits_to, sizeof page->submits_to, "https:");
    buf_free(&back);
}
