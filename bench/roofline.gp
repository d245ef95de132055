# roofline.gp: rows of ponder bench under the roofs of memory and arithmetic (Williams, Waterman, Patterson 2009).
# bench/roofline.sh prepares the variables: data, out, read (GB/s), top (GMAC/s; 0: no kernel row), title, peers.
# x: multiplications for each byte of weights that a pass reads; y: multiplications a second.  Attention is not counted.
set terminal svg size 900,560 font "sans,13" background "white"
set output out
set title title
set logscale xy
set xlabel "multiply-accumulates per byte of weights read by a pass"
set ylabel "GMAC/s"
set key bottom right
set grid xtics ytics mxtics mytics lc rgb "#dddddd"
set xrange [0.3:2000]
roof(x) = top > 0 && read * x > top ? top : read * x
stats data using 3 nooutput
set yrange [STATS_min / 3 : (top > STATS_max ? top : STATS_max) * 2]
plot roof(x) with lines lw 2 lc rgb "#444444" title (top > 0 ? sprintf("%.1f GB/s, %.0f GMAC/s", read, top) : sprintf("%.1f GB/s", read)), \
     for [kind in "prefill decode tree"] data using (strcol(1) eq kind ? $2 : NaN):3 with points pt 7 ps 0.9 title kind, \
     data using 2:($4 > 0 ? $4 : NaN) with points pt 6 ps 0.9 lc rgb "#888888" title (peers ? "the peer" : ""), \
     data using 2:3:5 with labels offset 0,0.8 font ",9" notitle
