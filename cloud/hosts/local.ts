/** The only host there is while one machine is all: its name in the table of assignments. */
export const localHost = "local"
