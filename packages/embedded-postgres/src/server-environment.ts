/**
 * What initdb and postgres see of our environment: nothing that could change them (PGDATA, LD_LIBRARY_PATH before the libraries they
 * ship with) or that they should not hold (provider keys). TZ spares initdb the search for the system's time zone.
 */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
}
