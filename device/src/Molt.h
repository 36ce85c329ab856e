/* Molt.h - what an Arduino sketch includes. The manual is ports/arduino.h. */
#ifndef MOLT_SKETCH_H
#define MOLT_SKETCH_H

#include "ports/arduino.h"

#endif
