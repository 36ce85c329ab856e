/* sdk_idf.h - what idf_try.c wants of the simulated SDK, where the SDK is the real one. */
#pragma once

void sdk_abort(const char *what);
