/* sign_stock.h - `molt sign|verify FILE --format FORMAT`: the signed files of other updaters (host/sign/stock.h). */
#ifndef MOLT_CLI_SIGN_STOCK_H
#define MOLT_CLI_SIGN_STOCK_H

#include "args.h"
#include "command.h"

#define SIGN_STOCK_FORMATS "arduino-esp8266|arduino-esp32|esp32fota|secure-boot-v2"

/* Exit statuses; have said everything. */
int sign_stock(struct args *args);
int verify_stock(struct args *args);

#endif
