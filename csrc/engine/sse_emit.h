/* What mxcsr.c adds to translated code. */
#ifndef VMK_ENGINE_SSE_EMIT_H
#define VMK_ENGINE_SSE_EMIT_H

/* Behind the emission of a call with so many arguments and results together. */
void sse_emitted(void *ctx, const void *func, unsigned values);

#endif
