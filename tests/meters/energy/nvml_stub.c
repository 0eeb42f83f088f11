/* A libnvidia-ml.so.1 of virtual GPUs, for unmodified pynvml. Its state is the file that NVML_STUB names, read anew at
 * every call: lines of "key number", such as "watts 100", and "fail FUNCTION CODE". Power is `watts` plus `busy_watts`
 * while the calling process computes (its CPU seconds); the counter is that power over time, in steps of period_ms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };
enum { POWER_INSTANT = 186 };
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } process_t;
typedef struct { unsigned field, scope; long long timestamp, latency; unsigned type; int status;
                 union { unsigned ui; unsigned long long ull; double d; } value; } field_t;

static const char *UUIDS[] = {"GPU-00000000-aaaa-aaaa-aaaa-000000000000", "GPU-11111111-bbbb-bbbb-bbbb-111111111111"};
static int readings; /* of energy or power by this process */

static double number(const char *key, double otherwise) {
    char word[128]; double value = otherwise, seen;
    FILE *file = fopen(getenv("NVML_STUB") ? getenv("NVML_STUB") : "", "r");
    if (!file) return otherwise;
    char line[256];
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%127s %lf", word, &seen) == 2 && !strcmp(word, key)) value = seen;
    fclose(file);
    return value;
}

static int failure(const char *function) {
    char line[256], name[128]; int code, found = OK;
    FILE *file = fopen(getenv("NVML_STUB") ? getenv("NVML_STUB") : "", "r");
    if (!file) return OK;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "fail %127s %d", name, &code) == 2 && !strcmp(name, function)) found = code;
    fclose(file);
    return found;
}
#define MAY_FAIL do { int code = failure(__func__); if (code) return code; } while (0)

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
static int index_of(void *device) { return (int)((char *)device - (char *)UUIDS) - 1; }
static int lost(void) { return ++readings > number("lost_after", 1e18); }

static double watts_of(int index) { return number(index ? "other_watts" : "watts", 100); }

/* joules up to now, or up to the last update: both clocks are held still between two updates */
static double joules(int index) {
    static double at[2] = {-1, -1}, held[2];
    static double cpu_origin = -1;
    double now = seconds(CLOCK_MONOTONIC), period = number("period_ms", 20) * 1e-3;
    double update = (double)(long long)(now / period);
    if (cpu_origin < 0) cpu_origin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (update != at[index] && !number("frozen", 0)) {
        at[index] = update;
        held[index] = watts_of(index) * update * period
                      + number("busy_watts", 0) * (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_origin);
    }
    return number("backwards", 0) ? 1e9 - held[index] : held[index];
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; MAY_FAIL; return OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) {
    static char text[64];
    snprintf(text, sizeof text, "stub error %d", code);
    return text;
}
int nvmlSystemGetDriverVersion(char *out, unsigned n) { MAY_FAIL; snprintf(out, n, "999.01"); return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { MAY_FAIL; *count = (unsigned)number("gpus", 2); return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    MAY_FAIL;
    if (index >= (unsigned)number("gpus", 2)) return NOT_FOUND;
    *device = (char *)UUIDS + index + 1;
    return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    MAY_FAIL;
    for (unsigned index = 0; index < (unsigned)number("gpus", 2); index++)
        if (!strcmp(uuid, UUIDS[index])) return nvmlDeviceGetHandleByIndex_v2(index, device);
    return NOT_FOUND;
}
int nvmlDeviceGetName(void *device, char *out, unsigned n) { snprintf(out, n, "Stub %d", index_of(device)); return OK; }
int nvmlDeviceGetUUID(void *device, char *out, unsigned n) { snprintf(out, n, "%s", UUIDS[index_of(device)]); return OK; }
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long out[3]) {
    (void)device; out[0] = 8ULL << 30; out[1] = 6ULL << 30; out[2] = 2ULL << 30;
    return OK;
}
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    MAY_FAIL;
    if (lost()) return GPU_IS_LOST;
    *millijoules = (unsigned long long)(joules(index_of(device)) * 1e3);
    return OK;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    static double before = -1, joules_before, power;
    MAY_FAIL;
    if (lost()) return GPU_IS_LOST;
    double now = joules(index_of(device)), period = number("period_ms", 20) * 1e-3;
    double update = (double)(long long)(seconds(CLOCK_MONOTONIC) / period) * period;
    if (before >= 0 && update > before) power = (now - joules_before) / (update - before);
    if (before < 0) power = watts_of(index_of(device));
    if (update != before) { before = update; joules_before = now; }
    *milliwatts = (unsigned)(power * 1e3) + (unsigned)(update / period) % 2; /* a sensor's last digit flickers */
    return OK;
}
int nvmlDeviceGetFieldValues(void *device, int n, field_t *fields) {
    MAY_FAIL;
    for (int i = 0; i < n; i++) {
        fields[i].status = fields[i].field == POWER_INSTANT && number("instant", 1) ? OK : NOT_SUPPORTED;
        if (fields[i].status == OK) fields[i].status = nvmlDeviceGetPowerUsage(device, &fields[i].value.ui);
    }
    return OK;
}
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts) {
    (void)device; MAY_FAIL; *milliwatts = (unsigned)(number("limit_watts", 400) * 1e3);
    return OK;
}
int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
    (void)device; MAY_FAIL; *current = *pending = (unsigned)number("mig", 0);
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process_t *out) {
    unsigned n = 0, room = out ? *count : 0, foreign = (unsigned)number("foreign_pid", 0);
    (void)device; MAY_FAIL;
    unsigned pids[2] = {(unsigned)getpid(), foreign};
    for (unsigned i = number("own", 1) ? 0 : 1; i < (foreign ? 2u : 1u); i++, n++)
        if (n < room) out[n] = (process_t){pids[i], 1ULL << 30, 0, 0};
    *count = n;
    return n > room ? INSUFFICIENT_SIZE : OK;
}
