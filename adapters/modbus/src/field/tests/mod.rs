mod lines;
mod probing;
mod scanning;
