mod probing;
mod scanning;
