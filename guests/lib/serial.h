/* Text on COM1: what every guest says, it says here. */
#pragma once
#include <stdint.h>

void print_char(char c);
void print(const char *text);
void print_hex(uint64_t value);
void print_decimal(uint64_t value);
