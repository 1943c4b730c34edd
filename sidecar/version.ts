/** The version of the recorder, as recordings and status name it; equal to that of the packages. */
export const VERSION = '0.1.0';
