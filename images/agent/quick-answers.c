/* Usage: quick-answers INTERFACE. See quick-answers.h; for whoever has set its routes. */
#include "quick-answers.h"
#include <stdio.h>

int main(int count, char **words) {
  if (count != 2) return 2;
  if (quick_answers(words[1]) == 0) return 0;
  perror(words[1]);
  return 1;
}
