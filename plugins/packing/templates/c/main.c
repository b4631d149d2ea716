// A plugin for AtlasHub. `build/bindings/plugin.h` declares the functions of the interfaces that need no grant, and of
// those that the manifest requests.
//
// A run has a memory of its own, which the host discards when the run ends. So nothing here is freed.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

// Writes an error and returns false, so that a failing function can return it.
static bool fail(exports_atlashub_plugin_job_error_t *error, uint8_t code, const char *message) {
  error->code = code;
  error->details.is_some = false;
  plugin_string_dup(&error->message, message);
  return false;
}

// Copies a parameter. The host passes compact JSON, and the schema in the manifest excludes every character that JSON
// would escape, so searching is enough.
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
  plugin_string_t line = {.ptr = (uint8_t *)message, .len = strlen(message)}, no_fields = {.ptr = NULL, .len = 0};
  atlashub_plugin_log_write(ATLASHUB_PLUGIN_LOG_LEVEL_INFO, &line, &no_fields);
}

static bool greet(const plugin_string_t *params, plugin_string_t *result, exports_atlashub_plugin_job_error_t *error) {
  static char name[401], text[500];
  if (!parameter(params, "name", name, sizeof name)) {
    return fail(error, ATLASHUB_PLUGIN_TYPES_ERROR_CODE_INVALID, "`name` is missing");
  }
  snprintf(text, sizeof text, "Greeting %s", name);
  log_info(text);
  snprintf(text, sizeof text, "{\"greeting\":\"Hello, %s!\"}", name);
  plugin_string_dup(result, text);
  return true;
}

// Runs a job. `plugin.h` declares this function.
bool exports_atlashub_plugin_job_run(exports_atlashub_plugin_job_run_context_t *context, plugin_string_t *params,
                                     plugin_string_t *result, exports_atlashub_plugin_job_error_t *error) {
  if (context->job.len == strlen("greet") && memcmp(context->job.ptr, "greet", context->job.len) == 0) {
    return greet(params, result, error);
  }
  return fail(error, ATLASHUB_PLUGIN_TYPES_ERROR_CODE_INVALID, "unknown job");
}
