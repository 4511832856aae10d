int part(int n);
int more(int n);
