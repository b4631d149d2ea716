// Fetches a page and checks that it contains a text.
//
// A run has a memory of its own, which the host discards when the run ends. So nothing here is freed.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

// Returns a string that refers to constant text.
static plugin_string_t text(const char *constant) {
  return (plugin_string_t){.ptr = (uint8_t *)constant, .len = strlen(constant)};
}

// Writes an error and returns false, so that a failing function can return the result of this call. The details contain
// the status of the response, unless it is 0.
static bool fail(exports_atlashub_plugin_job_error_t *error, uint8_t code, const char *message, uint16_t status) {
  error->code = code;
  plugin_string_dup(&error->message, message);
  error->details.is_some = status != 0;
  if (status != 0) {
    char details[40];
    snprintf(details, sizeof details, "{\"httpStatus\":%u}", status);
    plugin_string_dup(&error->details.val, details);
  }
  return false;
}

// Copies the value of a parameter. Returns false if it is missing or longer than the buffer. The host passes compact
// JSON, and the schema in the manifest excludes every character that JSON would escape, so a search for the name
// replaces a parser.
static bool parameter(const plugin_string_t *params, const char *name, char *value, size_t size) {
  char key[32];
  int key_length = snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *start = memmem(params->ptr, params->len, key, (size_t)key_length);
  if (start == NULL) return false;
  start += key_length;
  const char *end = memchr(start, '"', params->len - (size_t)(start - (const char *)params->ptr));
  if (end == NULL || (size_t)(end - start) >= size) return false;
  memcpy(value, start, (size_t)(end - start));
  value[end - start] = '\0';
  return true;
}

static void log_info(const char *message) {
  plugin_string_t line = text(message), no_fields = text("");
  atlashub_plugin_log_write(ATLASHUB_PLUGIN_LOG_LEVEL_INFO, &line, &no_fields);
}

static bool check(const plugin_string_t *params, plugin_string_t *result, exports_atlashub_plugin_job_error_t *error) {
  static char url[1001], wanted[801], message[1200];
  if (!parameter(params, "url", url, sizeof url)) {
    return fail(error, ATLASHUB_PLUGIN_TYPES_ERROR_CODE_INVALID, "`url` is missing", 0);
  }
  atlashub_plugin_http_request_t request = {
      .method = text("GET"),
      .url = text(url),
      .timeout_ms = {.is_some = true, .val = 30000},
      .max_redirects = 5,
  };
  atlashub_plugin_http_response_t response;
  uint64_t started = atlashub_plugin_clock_monotonic();
  // The host waits for the response. Only this run is blocked.
  if (!atlashub_plugin_http_send(&request, &response, error)) return false;
  uint64_t milliseconds = (atlashub_plugin_clock_monotonic() - started) / 1000000;
  snprintf(message, sizeof message, "%s: status %u, %zu bytes", url, response.status, response.body.len);
  log_info(message);
  if (response.status >= 400) {
    uint8_t code = response.status >= 500 ? ATLASHUB_PLUGIN_TYPES_ERROR_CODE_UNAVAILABLE
                                          : ATLASHUB_PLUGIN_TYPES_ERROR_CODE_INVALID;
    snprintf(message, sizeof message, "%s returned status %u", url, response.status);
    return fail(error, code, message, response.status);
  }
  bool has_text = parameter(params, "text", wanted, sizeof wanted);
  if (has_text && memmem(response.body.ptr, response.body.len, wanted, strlen(wanted)) == NULL) {
    snprintf(message, sizeof message, "the page does not contain \"%s\"", wanted);
    return fail(error, ATLASHUB_PLUGIN_TYPES_ERROR_CODE_FAILED, message, response.status);
  }
  snprintf(message, sizeof message, "{\"status\":%u,\"bytes\":%zu,\"milliseconds\":%llu,\"truncated\":%s}",
           response.status, response.body.len, (unsigned long long)milliseconds,
           response.truncated ? "true" : "false");
  plugin_string_dup(result, message);
  return true;
}

// Runs a job. `plugin.h` declares this function.
bool exports_atlashub_plugin_job_run(exports_atlashub_plugin_job_run_context_t *context, plugin_string_t *params,
                                     plugin_string_t *result, exports_atlashub_plugin_job_error_t *error) {
  if (context->job.len == strlen("check") && memcmp(context->job.ptr, "check", context->job.len) == 0) {
    return check(params, result, error);
  }
  return fail(error, ATLASHUB_PLUGIN_TYPES_ERROR_CODE_INVALID, "unknown job", 0);
}
