// As many instances as keep the load of each at a target.
//
// What a function is given belongs to it, and what it answers with must come from `malloc`. Neither is freed here but by
// the generated code: a call gets the module as it was built, and its memory is gone after it.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaling_policy.h"

static const char SCHEMA[] =
    "{\"type\": \"object\", \"properties\": {\"target\": {\"description\": \"The load that one instance should have.\","
    " \"type\": \"number\", \"exclusiveMinimum\": 0}}, \"required\": [\"target\"], \"additionalProperties\": false}";

// A series that has had no sample for so long is of an instance that is gone.
static const uint64_t STALE_MS = 60000;

// The target. The schema allows no other key, so this is all the JSON there is to read; 0 if it is not there.
static double target_of(const scaling_policy_string_t *config) {
  char *text = strndup((const char *)config->ptr, config->len);
  const char *key = text ? strstr(text, "\"target\"") : NULL;
  const char *colon = key ? strchr(key, ':') : NULL;
  double target = colon ? strtod(colon + 1, NULL) : 0;
  free(text);
  return target;
}

// The instances for `ratio` times the load that all of them have, within the bounds of the service.
static uint32_t count_for(double ratio, const dynamite_policy_types_service_t *service) {
  uint32_t count = 0;
  for (size_t i = 0; i < service->instances.len; i++)
    count += service->instances.ptr[i].state != DYNAMITE_POLICY_TYPES_INSTANCE_STATE_STOPPING;
  double most = service->max_instances.is_some ? service->max_instances.val : UINT32_MAX;
  double wanted = count * ratio;
  // 3 times 0.1 / 0.1 is a little more than 3, and still 3 instances.
  wanted = ceil(wanted - fabs(wanted) * 1e-12);
  return (uint32_t)fmax(service->min_instances, fmin(most, wanted));
}

void exports_scaling_policy_describe(scaling_policy_description_t *ret) {
  scaling_policy_string_dup(&ret->name, "keep-load");
  scaling_policy_string_dup(&ret->version, "0.1.0");
  scaling_policy_string_dup(&ret->summary, "As many instances as keep the load of each at a target");
  scaling_policy_string_dup(&ret->config_schema, SCHEMA);
}

bool exports_scaling_policy_validate(scaling_policy_string_t *config, scaling_policy_string_t *err) {
  if (target_of(config) > 0) return true;
  scaling_policy_string_dup(err, "`target` must be above 0");
  return false;
}

bool exports_scaling_policy_decide(scaling_policy_string_t *config, scaling_policy_observation_t *seen,
                                   scaling_policy_list_u8_t *state, scaling_policy_verdict_t *ret,
                                   scaling_policy_string_t *err) {
  (void)state;
  if (seen->windows.len == 0) {
    scaling_policy_string_dup(err, "no metric is configured");
    return false;
  }
  const dynamite_policy_types_window_t *window = &seen->windows.ptr[0];
  double target = target_of(config), sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < window->series.len; i++) {
    const dynamite_policy_types_series_t *series = &window->series.ptr[i];
    const scaling_policy_list_f64_t *values = &series->values;
    if (values->len == 0 || series->at.ptr[series->at.len - 1] + STALE_MS < seen->now) continue;
    sum += values->ptr[values->len - 1];
    count++;
  }
  int metric_len = window->metric.len < 256 ? (int)window->metric.len : 256;
  const char *metric = (const char *)window->metric.ptr;
  char reason[1024];
  *ret = (scaling_policy_verdict_t){0};
  if (count == 0) {
    ret->decision.tag = DYNAMITE_POLICY_TYPES_DECISION_HOLD;
    snprintf(reason, sizeof reason, "%.*s has no samples", metric_len, metric);
  } else {
    double load = sum / count, ratio = load / target;
    ret->decision.tag = DYNAMITE_POLICY_TYPES_DECISION_SCALE_TO;
    ret->decision.val.scale_to = count_for(ratio, &seen->service);
    snprintf(reason, sizeof reason, "%.*s is %.1f, %.2f of the target %.1f", metric_len, metric, load, ratio, target);
  }
  scaling_policy_string_dup(&ret->reason, reason);
  return true;
}
