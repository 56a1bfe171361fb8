/* Usage: quick-answers INTERFACE. See quick-answers.h; for whoever has set its routes. Says how many were not so. */
#include "quick-answers.h"
#include <stdio.h>

int main(int count, char **words) {
  if (count != 2) return 2;
  int changed = quick_answers(words[1]);
  if (changed < 0) return perror(words[1]), 1;
  printf("%d\n", changed);
  return 0;
}
